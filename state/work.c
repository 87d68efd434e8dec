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
  GPtrArray *others;   /* of GThread *, beside the one that called work_run */
  guint most;          /* threads; 0: it doesn't run */
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

/* FALSE: nothing is left, and nobody runs who could add something. */
static gboolean take(Work *work, LaneKind first, Task *ret_task) {
  while (!take_from(&work->lanes[first], ret_task) && !take_from(&work->lanes[!first], ret_task)) {
    if (work->running == 0)
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
    work->running--;
  }
  g_cond_broadcast(&work->changed);
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

/* A thread costs more than a small task: none is begun that nothing waits for. */
static void begin_another(Work *work) {
  if (work->others->len + 1 < work->most)
    g_ptr_array_add(work->others, g_thread_new("work", run_waiting, work));
}

static void push(Work *work, LaneKind kind, Task task) {
  g_mutex_lock(&work->lock);
  g_array_append_val(work->lanes[kind].tasks, task);
  if (work->idle > 0)
    g_cond_signal(&work->changed);
  if (work->idle < count_left(work)) /* one that was woken counts until it takes its task */
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
  life_expected(TRUE);
  g_mutex_lock(&work->lock);
  work->most = threads;
  for (guint i = 1; i < count_left(work); i++)
    begin_another(work);
  g_mutex_unlock(&work->lock);
  run(work, LOCAL);
  work->most = 0; /* nobody works any more who could push */
  for (guint i = 0; i < work->others->len; i++)
    g_thread_join(work->others->pdata[i]);
  g_ptr_array_set_size(work->others, 0);
  life_expected(FALSE);
  for (LaneKind kind = 0; kind < N_LANES; kind++) {
    g_array_set_size(work->lanes[kind].tasks, 0);
    work->lanes[kind].next = 0;
  }
}
