/* Carrying out one action: the only place (with state/libvirt for reading) where libvirt is
 * called. Every function checks what it finds before it acts, can be run again after having
 * been interrupted, verifies the result, and never improvises. */
#pragma once
#include <gio/gio.h>
#include "reconciler/plan/fleet.h"
#include "reconciler/plan/plan.h"
#include "state/journal.h"
#include "state/libvirt/connection.h"

typedef void (*ProgressFunction)(gpointer data, const Action *action, guint64 done, guint64 total /* bytes or 0 */, const char *phase);

typedef struct {
  Connection *connection;   /* writable, of the object's host */
  const Fleet *fleet;       /* all hosts of the run */
  const Plan *plan;
  const PlanObject *object; /* of the action */
  gboolean found_absent;    /* the domain was looked for at this moment, and there is none */
  Journal *journal;         /* may be NULL */
  GCancellable *cancel;     /* checked in loops and long transfers */
  ProgressFunction progress;
  gpointer progress_data;
  GString *remarks;         /* act_remark's, one a line; NULL: nobody asks */
} ActionContext;

#define EXECUTE_ERROR (execute_error_quark())
GQuark execute_error_quark(void);
typedef enum {
  EXECUTE_ERROR_STALE,     /* the world isn't as planned: nothing was changed */
  EXECUTE_ERROR_REFUSED,   /* it would be unsafe, or isn't ours: nothing was changed */
  EXECUTE_ERROR_FAILED,
  EXECUTE_ERROR_CANCELLED, /* interrupted; the next run goes on */
} ExecuteError;

typedef gboolean (*ActionFunction)(const ActionContext *context, const Action *action, GError **error);

typedef struct {
  const char *name;
  ActionFunction function;
  ActionFunction check; /* whether it would be refused for anything that can be told before the machine is off; NULL: nothing is asked */
  Impact impact;
  const char *help;
} ActionInfo;
extern const ActionInfo action_info[ACTION_N];

#define ACTION(id, name, function, impact, help) \
  gboolean function(const ActionContext *context, const Action *action, GError **error);
#define ACTION_CHECKED(id, name, function, check, impact, help) \
  ACTION(id, name, function, impact, help) \
  gboolean check(const ActionContext *context, const Action *action, GError **error);
#include "reconciler/plan/actions.def"
#undef ACTION

/* Asks the actions that the plan has for the machine right after this one, before it is stopped for them. */
gboolean act_check_after(const ActionContext *context, const Action *stop, GError **error);

/* Helpers of the actions: handles found by name, arguments. */
virDomainPtr act_domain(const ActionContext *context, GError **error);          /* by object->name */
virStoragePoolPtr act_pool(const ActionContext *context, const char *name, GError **error);
virNetworkPtr act_network(const ActionContext *context, GError **error);
const char *act_arg(const Action *action, const char *key);                      /* NULL when missing */
gboolean act_arg_uint64(const Action *action, const char *key, guint64 *ret_value, GError **error);
gboolean act_cancelled(const ActionContext *context, GError **error);            /* TRUE and error when so; a sign of life */
