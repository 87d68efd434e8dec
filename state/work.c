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
  GCond more, ended;   /* for the others; for the one that calls work_run, who has to hear of the end as well */
  Lane lanes[N_LANES];
  guint running, idle; /* threads with a task, and others that wait for one */
  guint to_wake;       /* of those that wait, for what was pushed before the run: by the one that was woken before */
  gboolean caller_idle;
  GPtrArray *others;   /* of GThread *, beside the one that calls work_run: they wait for the next run */
  guint begun;         /* that are there, or about to be */
  guint most;          /* threads that may work; 0: nobody may */
  gboolean over;       /* there is no next run */
};

Work *work_new(void) {
  Work *work = g_new0(Work, 1);
  g_mutex_init(&work->lock);
  g_cond_init(&work->more);
  g_cond_init(&work->ended);
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
  g_cond_broadcast(&work->more);
  g_mutex_unlock(&work->lock);
  for (guint i = 0; i < work->others->len; i++)
    g_thread_join(work->others->pdata[i]);
  for (LaneKind kind = 0; kind < N_LANES; kind++)
    g_array_unref(work->lanes[kind].tasks);
  g_ptr_array_unref(work->others);
  g_cond_clear(&work->more);
  g_cond_clear(&work->ended);
  g_mutex_clear(&work->lock);
  g_free(work);
}

static gboolean take_from(Lane *lane, Task *ret_task) {
  if (lane->next == lane->tasks->len)
    return FALSE;
  *ret_task = g_array_index(lane->tasks, Task, lane->next++);
  return TRUE;
}

static void wait_for_more(Work *work, LaneKind first) {
  if (first == LOCAL) {
    work->caller_idle = TRUE;
    g_cond_wait(&work->ended, &work->lock);
    work->caller_idle = FALSE;
    return;
  }
  work->idle++;
  g_cond_wait(&work->more, &work->lock);
  work->idle--;
}

/* One after the other: small tasks are done before many threads are awake. */
static void wake_next(Work *work) {
  if (work->to_wake == 0)
    return;
  work->to_wake--;
  g_cond_signal(&work->more);
}

/* FALSE: nothing is left, and nobody runs who could add something; for a thread that waits for the next run: there is none. */
static gboolean take(Work *work, LaneKind first, Task *ret_task) {
  gboolean waited = FALSE;
  while (work->most == 0 || (!take_from(&work->lanes[first], ret_task) && !take_from(&work->lanes[!first], ret_task))) {
    if (first == LOCAL ? work->running == 0 : work->over)
      return FALSE;
    wait_for_more(work, first);
    waited = TRUE;
  }
  if (waited)
    wake_next(work);
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
      g_cond_signal(&work->ended);
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
static gboolean needs_another(Work *work, guint left) {
  gboolean needs = work->idle < left && work->begun + 1 < work->most;
  work->begun += needs;
  return needs;
}

/* Without the lock, for which the new one would have to wait. */
static void begin_another(Work *work) {
  GThread *thread = g_thread_new("work", run_waiting, work);
  g_mutex_lock(&work->lock);
  g_ptr_array_add(work->others, thread);
  g_mutex_unlock(&work->lock);
}

/* What was pushed before the run, but for the one that its caller takes. */
static void begin(Work *work, guint threads) {
  guint new = 0;
  g_mutex_lock(&work->lock);
  guint left = count_left(work), rest = left > 0 ? left - 1 : 0;
  work->most = threads;
  work->to_wake = MIN(work->idle, rest);
  wake_next(work);
  for (; new < rest && needs_another(work, rest - new); new++)
    ;
  g_mutex_unlock(&work->lock);
  for (guint i = 0; i < new; i++)
    begin_another(work);
}

static void push(Work *work, LaneKind kind, Task task) {
  g_mutex_lock(&work->lock);
  g_array_append_val(work->lanes[kind].tasks, task);
  if (work->most > 0 && work->caller_idle) {
    work->caller_idle = FALSE; /* the next one is for another */
    g_cond_signal(&work->ended);
  } else if (work->most > 0 && work->idle > 0) {
    g_cond_signal(&work->more);
  }
  gboolean another = needs_another(work, count_left(work));
  g_mutex_unlock(&work->lock);
  if (another)
    begin_another(work);
}

void work_push(Work *work, WorkFunction function, gpointer data, gpointer item) {
  push(work, WAITING, (Task){function, data, item});
}

void work_push_local(Work *work, WorkFunction function, gpointer data, gpointer item) {
  push(work, LOCAL, (Task){function, data, item});
}

void work_run(Work *work, guint threads) {
  begin(work, threads);
  life_expected(TRUE);
  run(work, LOCAL);
  life_expected(FALSE);
  g_mutex_lock(&work->lock);
  work->most = work->to_wake = 0;
  for (LaneKind kind = 0; kind < N_LANES; kind++) {
    g_array_set_size(work->lanes[kind].tasks, 0);
    work->lanes[kind].next = 0;
  }
  g_mutex_unlock(&work->lock);
}
