#include "state/work.h"

typedef struct {
  WorkFunction function;
  gpointer data, item;
} Task;

struct Work {
  GMutex lock;
  GCond changed;
  GArray *tasks; /* of Task; those before `next` are taken */
  guint next, running;
};

Work *work_new(void) {
  Work *work = g_new0(Work, 1);
  g_mutex_init(&work->lock);
  g_cond_init(&work->changed);
  work->tasks = g_array_new(FALSE, FALSE, sizeof(Task));
  return work;
}

void work_free(Work *work) {
  if (!work)
    return;
  g_array_unref(work->tasks);
  g_cond_clear(&work->changed);
  g_mutex_clear(&work->lock);
  g_free(work);
}

void work_push(Work *work, WorkFunction function, gpointer data, gpointer item) {
  Task task = {function, data, item};
  g_mutex_lock(&work->lock);
  g_array_append_val(work->tasks, task);
  g_cond_signal(&work->changed);
  g_mutex_unlock(&work->lock);
}

/* FALSE: nothing is left, and nobody runs who could add something. */
static gboolean take(Work *work, Task *ret_task) {
  while (work->next == work->tasks->len && work->running > 0)
    g_cond_wait(&work->changed, &work->lock);
  if (work->next == work->tasks->len)
    return FALSE;
  *ret_task = g_array_index(work->tasks, Task, work->next++);
  work->running++;
  return TRUE;
}

static gpointer run(gpointer data) {
  Work *work = data;
  g_mutex_lock(&work->lock);
  for (Task task; take(work, &task);) {
    g_mutex_unlock(&work->lock);
    task.function(task.data, task.item);
    g_mutex_lock(&work->lock);
    work->running--;
  }
  g_cond_broadcast(&work->changed);
  g_mutex_unlock(&work->lock);
  return NULL;
}

void work_run(Work *work, guint threads) {
  g_autoptr(GPtrArray) others = g_ptr_array_new();
  for (guint i = 1; i < threads; i++)
    g_ptr_array_add(others, g_thread_new("work", run, work));
  run(work);
  for (guint i = 0; i < others->len; i++)
    g_thread_join(others->pdata[i]);
  g_array_set_size(work->tasks, 0);
  work->next = 0;
}
