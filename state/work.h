/* A queue of small tasks for a few threads, where tasks may add tasks: for many round trips
 * that wait, mixed with what is computed from their answers. Tasks that wait for nobody have a lane
 * of their own, so that they fill the time in which the others wait. */
#pragma once
#include <glib.h>

typedef struct Work Work;
typedef void (*WorkFunction)(gpointer data, gpointer item);

Work *work_new(void);
void work_free(Work *work);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Work, work_free)
/* From any thread, also before work_run. `item` isn't owned. */
void work_push(Work *work, WorkFunction function, gpointer data, gpointer item);
void work_push_local(Work *work, WorkFunction function, gpointer data, gpointer item); /* one that waits for nobody */
/* Runs all tasks and those that they add, each of which is a sign of life (life_sign.h), in so many threads at most;
 * returns when none is left. Can be used again. */
void work_run(Work *work, guint threads);
