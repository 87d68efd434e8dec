#include "reconciler/act/preflight.h"

#include "reconciler/act/common.h"
#include "reconciler/act/secret.h"

typedef struct {
  const ActionContext *context;
  GHashTable *shapes;   /* digest of a shape → what was said against it ("" nothing) */
  GHashTable *verdicts; /* object id → message */
} Preflight;

/* What libvirt finds out at a start only is left to the define: it turns every interface into a
 * tap device for this and opens it, which an ordinary user can't and nobody asked for, and it
 * refuses devices of the host that it hasn't looked up. */
static char *without_host_devices(xmlDoc *doc) {
  static const char *const paths[] = {"devices/interface", "devices/hostdev"};
  for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
    g_autoptr(GPtrArray) devices = xml_path_all(xml_path(paths[i]), xmlDocGetRootElement(doc));
    for (guint device = 0; device < devices->len; device++) {
      xmlUnlinkNode(devices->pdata[device]);
      xmlFreeNode(devices->pdata[device]);
    }
  }
  return xml_text(doc);
}

/* The definition as it will be: of a new machine, or the present one patched. ret_now: as it
 * is; NULL for a new one. */
static char *definition(const ActionContext *context, gboolean is_new, char **ret_now, GError **error) {
  const VmSpec *vm = act_vm(context, error);
  if (vm == NULL)
    return NULL;
  Ownership owner = act_ownership(context, NULL);
  g_autoptr(xmlDoc) doc = NULL;
  if (is_new) {
    doc = domain_xml_new(context->object->name, vm, &owner, error);
    return doc != NULL ? without_host_devices(doc) : NULL;
  }
  g_autoptr(VirDomain) domain = act_domain(context, error);
  if (domain == NULL || (doc = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE, error)) == NULL)
    return NULL;
  xmlNode *root = xmlDocGetRootElement(doc);
  g_autoptr(xmlDoc) now = xmlCopyDoc(doc, 1);
  g_autoptr(Ownership) before = NULL;
  g_autoptr(GError) trouble = NULL;
  before = ownership_read(root, &trouble);
  gboolean changed = FALSE;
  if (!domain_xml_patch(root, vm, before != NULL ? &before->spec : NULL, &owner, &changed, error))
    return NULL;
  *ret_now = without_host_devices(now);
  return without_host_devices(doc);
}

static void forget(const FieldTable *table, gpointer spec, guint row) { spec_unset(table, spec, &table->fields[row]); }

/* What tells machines of one shape apart is taken out: then equal specs are judged once. */
static char *shape_of(const VmSpec *vm) {
  VmSpec *shape = spec_copy(&VmSpec_table, vm);
  forget(&VmSpec_table, shape, VmSpec_uuid);
  forget(&VmSpec_table, shape, VmSpec_title);
  forget(&VmSpec_table, shape, VmSpec_description);
  for (guint i = 0; given(shape, VmSpec, disks) && i < shape->disks->len; i++)
    forget(&DiskSpec_table, shape->disks->pdata[i], DiskSpec_path);
  for (guint i = 0; given(shape, VmSpec, interfaces) && i < shape->interfaces->len; i++)
    forget(&InterfaceSpec_table, shape->interfaces->pdata[i], InterfaceSpec_mac);
  for (guint i = 0; given(shape, VmSpec, serials) && i < shape->serials->len; i++)
    forget(&SerialSpec_table, shape->serials->pdata[i], SerialSpec_path);
  g_autofree char *json = spec_to_json(&VmSpec_table, shape);
  spec_free(&VmSpec_table, shape);
  return g_compute_checksum_for_string(G_CHECKSUM_SHA256, json, -1);
}

/* NULL: nothing to say against it. */
static char *judge(virConnectPtr handle, const char *xml) {
  char *arguments = virConnectDomainXMLToNative(handle, "qemu-argv", xml, 0);
  if (arguments != NULL) {
    free(arguments);
    return NULL;
  }
  int code = virGetLastErrorCode();
  if (code == VIR_ERR_NO_SUPPORT || code == VIR_ERR_OPERATION_DENIED)
    return NULL; /* a driver that has no opinion */
  return g_strdup(virGetLastErrorMessage());
}

/* A machine that can't start on this host as it is (a secret or a firmware is missing, say) can
 * still be redefined: that isn't the change's fault. Not where the plan is to start it. */
static gboolean was_so_before(const Preflight *preflight, virConnectPtr handle, const PlanObject *object, const char *now, const char *verdict) {
  g_autofree char *id = plan_object_id(object);
  const GPtrArray *actions = preflight->context->plan->actions;
  for (guint i = 0; i < actions->len; i++) {
    const Action *action = actions->pdata[i];
    if (action->kind == ACTION_DOMAIN_START && g_str_equal(action->object, id))
      return FALSE;
  }
  g_autofree char *before = now != NULL ? judge(handle, now) : NULL;
  return g_strcmp0(before, verdict) == 0;
}

static gboolean preflight_object(Preflight *preflight, const PlanObject *object, gboolean is_new, GError **error) {
  ActionContext context = *preflight->context;
  context.object = object;
  g_autofree char *shape = is_new ? shape_of(object_vm(object->desired)) : NULL;
  const char *known = shape != NULL ? g_hash_table_lookup(preflight->shapes, shape) : NULL;
  g_autofree char *verdict = NULL;
  if (known == NULL) {
    virConnectPtr handle = connection_get(context.connection, error);
    if (handle == NULL)
      return FALSE;
    g_autoptr(GError) trouble = NULL;
    g_autofree char *now = NULL;
    g_autofree char *xml = definition(&context, is_new, &now, &trouble);
    verdict = xml != NULL ? judge(handle, xml) : g_strdup(trouble->message);
    if (verdict != NULL && virConnectIsAlive(handle) != 1)
      return act_fail(error, "the connection to %s was lost while its definitions were judged: %s", connection_uri(context.connection), verdict);
    if (verdict != NULL && was_so_before(preflight, handle, object, now, verdict))
      g_clear_pointer(&verdict, g_free);
    g_autoptr(GError) missing = NULL;
    if (verdict == NULL && !graphics_secrets_known(handle, object_vm(object->desired), &missing))
      verdict = g_strdup(missing->message);
    if (shape != NULL)
      g_hash_table_replace(preflight->shapes, g_steal_pointer(&shape), g_strdup(verdict != NULL ? verdict : ""));
    known = verdict != NULL ? verdict : "";
  }
  if (known[0] != '\0')
    g_hash_table_replace(preflight->verdicts, plan_object_id(object), g_strdup(known));
  return TRUE;
}

/* The action that writes an object's definition; NULL: none does. */
static GHashTable *definitions(const Plan *plan) {
  GHashTable *writers = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < plan->actions->len; i++) {
    Action *action = plan->actions->pdata[i];
    if (action->kind == ACTION_DOMAIN_DEFINE || action->kind == ACTION_DOMAIN_REDEFINE)
      g_hash_table_replace(writers, action->object, action);
  }
  return writers;
}

GHashTable *preflight(const FleetHost *host, const Plan *plan, GCancellable *cancel, GError **error) {
  ActionContext context = {.connection = host->connection, .plan = plan, .cancel = cancel};
  g_autoptr(GHashTable) shapes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(GHashTable) verdicts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(GHashTable) writers = definitions(plan);
  Preflight state = {&context, shapes, verdicts};
  for (guint i = 0; i < plan->objects->len; i++) {
    const PlanObject *object = plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    const Action *action = g_hash_table_lookup(writers, id);
    if (action == NULL || g_strcmp0(object->host, host->name) != 0)
      continue;
    if (act_cancelled(&context, error) || !preflight_object(&state, object, action->kind == ACTION_DOMAIN_DEFINE, error))
      return NULL;
  }
  return g_steal_pointer(&verdicts);
}
