/* What no observation tells, and is lost with a machine that a plan deletes: its checkpoints. They are asked for of these machines
 * alone, so that a dry run says the same as the undefine would. */
#include "reconciler/run/pipeline_stages.h"
#include "state/libvirt/checkpoints.h"
#include "state/work.h"

#define ASKING 8 /* machines at once */

typedef struct {
  Connection *connection;
  ActualDomain *domain;
  guint count;
} Question;

/* Where that can't be told, the action looks again. */
static void ask(gpointer data G_GNUC_UNUSED, gpointer item) {
  Question *question = item;
  g_autoptr(GError) error = NULL;
  checkpoints_count(question->connection, question->domain->name, &question->count, &error);
}

static GPtrArray *questions_of(const FleetHost *host, const Plan *plan) {
  GPtrArray *questions = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    const PlanObject *object = action->kind == ACTION_DOMAIN_UNDEFINE ? plan_object(plan, action->object) : NULL;
    ActualDomain *domain = object != NULL ? g_hash_table_lookup(host->actual->domains, object->name) : NULL;
    if (domain == NULL)
      continue;
    Question *question = g_new0(Question, 1);
    *question = (Question){host->connection, domain, domain->checkpoints};
    g_ptr_array_add(questions, question);
  }
  return questions;
}

gboolean pipeline_ask_checkpoints(const Pipeline *pipeline, const FleetHost *host, const Plan *plan) {
  if (pipeline->saved != NULL || host->actual == NULL)
    return FALSE;
  g_autoptr(GPtrArray) questions = questions_of(host, plan);
  g_autoptr(Work) work = work_new();
  for (guint i = 0; i < questions->len; i++)
    work_push(work, ask, NULL, questions->pdata[i]);
  work_run(work, ASKING);
  gboolean new = FALSE;
  for (guint i = 0; i < questions->len; i++) {
    const Question *question = questions->pdata[i];
    new |= question->count != question->domain->checkpoints;
    question->domain->checkpoints = question->count;
  }
  return new;
}
