#include "state/work.h"

#include "state/life_sign.h"

typedef struct {
  WorkFunction function;
  gpointer data, item;
} Task;

typedef enum { WAITING, LOCAL, N_LANES } LaneKind;

typedef struct {
  GArray *tasks; /* of Task; those before `next` are taken */
  guint next;
} Lane;

struct Work {
  GMutex lock;
  GCond changed;
  Lane lanes[N_LANES];
  guint running, idle; /* threads with a task, and those that wait for one */
  GPtrArray *others;   /* of GThread *, beside the one that calls work_run: they wait for the next run */
  guint most;          /* threads that may work; 0: nobody may */
  gboolean over;       /* there is no next run */
};

Work *work_new(void) {
  Work *work = g_new0(Work, 1);
  g_mutex_init(&work->lock);
  g_cond_init(&work->changed);
  work->others = g_ptr_array_new();
  for (LaneKind kind = 0; kind < N_LANES; kind++)
    work->lanes[kind].tasks = g_array_new(FALSE, FALSE, sizeof(Task));
  return work;
}

void work_free(Work *work) {
  if (!work)
    return;
  g_mutex_lock(&work->lock);
  work->over = TRUE;
  g_cond_broadcast(&work->changed);
  g_mutex_unlock(&work->lock);
  for (guint i = 0; i < work->others->len; i++)
    g_thread_join(work->others->pdata[i]);
  for (LaneKind kind = 0; kind < N_LANES; kind++)
    g_array_unref(work->lanes[kind].tasks);
  g_ptr_array_unref(work->others);
  g_cond_clear(&work->changed);
  g_mutex_clear(&work->lock);
  g_free(work);
}

static gboolean take_from(Lane *lane, Task *ret_task) {
  if (lane->next == lane->tasks->len)
    return FALSE;
  *ret_task = g_array_index(lane->tasks, Task, lane->next++);
  return TRUE;
}

static gboolean is_over(const Work *work, LaneKind first) { return first == LOCAL ? work->running == 0 : work->over; }

/* FALSE: nothing is left, and nobody runs who could add something; for a thread that waits for the next run: there is none. */
static gboolean take(Work *work, LaneKind first, Task *ret_task) {
  while (work->most == 0 || (!take_from(&work->lanes[first], ret_task) && !take_from(&work->lanes[!first], ret_task))) {
    if (is_over(work, first))
      return FALSE;
    work->idle++;
    g_cond_wait(&work->changed, &work->lock);
    work->idle--;
  }
  work->running++;
  return TRUE;
}

static void run(Work *work, LaneKind first) {
  g_mutex_lock(&work->lock);
  for (Task task; take(work, first, &task);) {
    g_mutex_unlock(&work->lock);
    task.function(task.data, task.item);
    life_sign();
    g_mutex_lock(&work->lock);
    if (--work->running == 0)
      g_cond_broadcast(&work->changed);
  }
  g_mutex_unlock(&work->lock);
}

static gpointer run_waiting(gpointer work) {
  run(work, WAITING);
  return NULL;
}

static guint count_left(const Work *work) {
  guint left = 0;
  for (LaneKind kind = 0; kind < N_LANES; kind++)
    left += work->lanes[kind].tasks->len - work->lanes[kind].next;
  return left;
}

/* A thread costs more than a small task: none is begun that nothing waits for. One that was woken counts as idle until it
 * takes its task. */
static void begin_another(Work *work) {
  if (work->most > 0 && work->idle < count_left(work) && work->others->len + 1 < work->most)
    g_ptr_array_add(work->others, g_thread_new("work", run_waiting, work));
}

/* What was pushed before the run, but for the one that its caller takes. */
static void begin(Work *work) {
  g_cond_broadcast(&work->changed);
  for (guint i = work->idle + 1; i < count_left(work) && work->others->len + 1 < work->most; i++)
    begin_another(work);
}

static void push(Work *work, LaneKind kind, Task task) {
  g_mutex_lock(&work->lock);
  g_array_append_val(work->lanes[kind].tasks, task);
  if (work->most > 0 && work->idle > 0)
    g_cond_signal(&work->changed);
  begin_another(work);
  g_mutex_unlock(&work->lock);
}

void work_push(Work *work, WorkFunction function, gpointer data, gpointer item) {
  push(work, WAITING, (Task){function, data, item});
}

void work_push_local(Work *work, WorkFunction function, gpointer data, gpointer item) {
  push(work, LOCAL, (Task){function, data, item});
}

void work_run(Work *work, guint threads) {
  g_mutex_lock(&work->lock);
  work->most = threads;
  begin(work);
  g_mutex_unlock(&work->lock);
  life_expected(TRUE);
  run(work, LOCAL);
  life_expected(FALSE);
  g_mutex_lock(&work->lock);
  work->most = 0;
  for (LaneKind kind = 0; kind < N_LANES; kind++) {
    g_array_set_size(work->lanes[kind].tasks, 0);
    work->lanes[kind].next = 0;
  }
  g_mutex_unlock(&work->lock);
}
