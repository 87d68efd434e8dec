/* What the actions share beyond act.h: errors, waiting, progress, and whose an object is. */
#pragma once
#include <libvirt/virterror.h>
#include "reconciler/act/act.h"
#include "state/domain_xml.h"

/* Each sets the error of its code and returns FALSE. */
gboolean act_stale(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
gboolean act_refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
gboolean act_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

void act_progress(const ActionContext *context, const Action *action, guint64 done, guint64 total, const char *phase);
/* What people shall know of an action that is done: shown and journaled as its result. */
void act_remark(const ActionContext *context, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Waits; FALSE with EXECUTE_ERROR_CANCELLED when the run is cancelled meanwhile. */
gboolean act_sleep(const ActionContext *context, guint milliseconds, GError **error);
/* A required argument; NULL with error when it is missing. */
const char *act_need(const Action *action, const char *key, GError **error);
/* As act_arg_uint64, but a missing argument leaves the value untouched. */
gboolean act_arg_optional(const Action *action, const char *key, guint64 *ret_value, GError **error);

/* Succeed with NULL when there certainly is no such object. */
gboolean act_find_domain(const ActionContext *context, virDomainPtr *ret_domain, GError **error);
gboolean act_find_pool(const ActionContext *context, const char *name, virStoragePoolPtr *ret_pool, GError **error);
gboolean act_find_network(const ActionContext *context, virNetworkPtr *ret_network, GError **error);

/* TRUE when the object's declaration takes over what exists. */
gboolean act_adopts(const ActionContext *context);
/* The persistent definition carries our record; EXECUTE_ERROR_REFUSED otherwise. */
gboolean act_check_ours(virDomainPtr domain, GError **error);
gboolean act_not_ours(virDomainPtr domain, GError **error); /* that error; FALSE */
/* The context's domain, which is ours; act_live_domain: and active, if only paused. NULL with error otherwise. */
virDomainPtr act_own_domain(const ActionContext *context, GError **error);
virDomainPtr act_live_domain(const ActionContext *context, GError **error);
/* The domain's document; flags as for virDomainGetXMLDesc. */
xmlDoc *act_domain_doc(virDomainPtr domain, guint flags, GError **error);
/* The persistent definition with its secrets, and our record in it (NULL: not ours); and writing it. */
xmlDoc *act_definition(virDomainPtr domain, Ownership **ret_record, GError **error);
gboolean act_write_definition(const ActionContext *context, xmlDoc *doc, GError **error);
/* virDomainState, or -1 with error. ret_reason may be NULL. */
int act_domain_state(virDomainPtr domain, int *ret_reason, GError **error);

/* Flags for whatever is undefined, beside one for UEFI variables: libvirt's notes go. The state of an emulated TPM is kept: keys in it may
 * be the only ones to data elsewhere. */
#define ACT_UNDEFINE \
  (VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_KEEP_TPM)

/* The record to write for the context's VM, of what was declared, with the facts of the last record (NULL:
 * none); shares its members with both. */
Ownership act_ownership(const ActionContext *context, const Ownership *last);
/* Our record of the domain; NULL with error when it isn't ours or can't be read. */
Ownership *act_record(virDomainPtr domain, GError **error);
/* Changes what our record says was done to the machine (facts), in the persistent metadata only. `change`
 * returns whether there is anything to write. Redefining keeps the facts as they are. */
typedef gboolean (*FactsChange)(FactsSpec *facts, gconstpointer data);
gboolean act_change_facts(virDomainPtr domain, FactsChange change, gconstpointer data, GError **error);
/* Notes in the record that the machine is stopped to be started again at once, or that this is over: an
 * interrupted restart is told from a machine that its user stopped. Where the action's argument `again` asks for it. */
gboolean act_note_restart(virDomainPtr domain, const Action *action, gboolean restarting, GError **error);
/* The VM's resolved spec; NULL with error when the plan has none (orphans). */
const VmSpec *act_vm(const ActionContext *context, GError **error);
