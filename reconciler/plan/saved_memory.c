/* A hibernated machine comes back with the devices that its saved memory has. A file that one of them has is in use (USER_SAVED). One
 * that left the definition meanwhile would be there again, and nothing would say that it is to leave. */
#include "reconciler/plan/build.h"

/* Of a list of the machine's own devices; what isn't plugged is found by what the machine was started with. */
static gboolean leaves(const FieldChange *change, const VmSpec *saved) {
  const Field *field = change->field, *rows = VmSpec_table.fields;
  if (!change->whole || !change->persistent || change->to != NULL || change->match == NULL || field->call != CALL_ATTACH_DEVICE ||
      field->type != VALUE_LIST || field < rows || field >= rows + VmSpec_table.n_fields || !field_given(&VmSpec_table, saved, field))
    return FALSE;
  GPtrArray *items = *(GPtrArray **)field_member(field, saved);
  return list_find(field->sub, items, table_match_field(field->sub), change->match) != NULL;
}

static const FieldChange *first_that_leaves(const PlanObject *object, const VmSpec *saved) {
  for (guint i = 0; saved != NULL && i < object->fields->len; i++)
    if (leaves(object->fields->pdata[i], saved))
      return object->fields->pdata[i];
  return NULL;
}

/* The rest is looked at when that is done. */
static void leave_rest(PlanObject *object, gboolean *ret_complete) {
  g_ptr_array_set_size(object->fields, 0);
  object->change = CHANGE_UPDATE;
  object->follows = TRUE;
  *ret_complete = TRUE;
}

char *plan_saved_memory(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions,
                        gboolean *ret_complete) {
  const FieldChange *leaving = first_that_leaves(object, found->saved);
  const VmSpec *vm = object_vm(object->desired);
  gboolean ends = given(vm, VmSpec, powerState) && vm->powerState == PowerState_stopped;
  gboolean comes_back = given(vm, VmSpec, powerState) && (vm->powerState == PowerState_running || vm->powerState == PowerState_paused);
  if (leaving == NULL)
    return NULL;
  char *refused = comes_back ? build_refusal(object->fields) : NULL;
  if (comes_back && refused == NULL)
    refused = plan_network_trouble(builder, vm, found);
  if (refused != NULL)
    return refused;
  if (comes_back) {
    build_note(object, g_strdup_printf("%s leaves when the machine is back with its saved memory, in the same run", leaving->path));
    plan_restore(builder, object, found, sources, actions);
    leave_rest(object, ret_complete);
    return NULL;
  }
  if (!ends || !(builder->input->allow & ALLOW(IMPACT_DATA_LOSS)))
    return g_strdup_printf("%s can't leave while the machine is hibernated: its saved memory goes on with that, and would bring it back; start the "
                           "machine first, or discard the memory (powerState: stopped, and --allow data-loss)", leaving->path);
  build_note(object, g_strdup_printf("%s leaves when its saved memory is discarded, in the same run, and the rest is looked at then", leaving->path));
  Action *action = build_action(builder, object, ACTION_DOMAIN_DISCARD_SAVE, NULL, g_strdup("discard the saved memory"), NULL);
  action->permitted = TRUE;
  g_ptr_array_add(actions, action);
  leave_rest(object, ret_complete);
  return NULL;
}
