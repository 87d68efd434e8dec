/* From the power state that is to the one that is wanted. An explicit powerState is its own
 * permission; a restart for pending changes needs the machine's policy or the run's --allow. */
#include "reconciler/plan/build.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const VmSpec *vm;
  const ActualDomain *domain; /* NULL: to be created */
  const GPtrArray *sources;   /* of its disks */
  GPtrArray *before;          /* of Action * */
} Power;

/* A machine starts whatever became of the replacement of its disk: it has the old one then, as it was. */
static void wait_for_all(const Power *power, Action *action) {
  for (guint i = 0; i < power->before->len; i++) {
    const Action *before = power->before->pdata[i];
    if (action->kind == ACTION_DOMAIN_START && action_replaces_disk(before))
      build_wait_end(action, before->id);
    else
      build_wait(action, before->id);
  }
}

static Action *act(Power *power, ActionKind kind, const char *description, const char *key, const char *value) {
  Action *action = build_action(power->builder, power->object, kind, NULL, g_strdup(description), value != NULL ? key : NULL, value, NULL);
  wait_for_all(power, action);
  action->permitted = TRUE;
  if (kind == ACTION_DOMAIN_START) {
    plan_wait_to_start(power->builder, power->vm, power->domain, action);
    plan_bases(power->builder, action, power->domain != NULL ? power->domain->defined_disks : NULL, power->sources);
  }
  g_ptr_array_add(power->before, action);
  return action;
}

#define SHUTDOWN_TIMEOUT 90000 /* milliseconds */

char *plan_shutdown(const VmSpec *vm, gboolean unless_told, Action *action) {
  const ShutdownSpec *spec = &vm->shutdown;
  gboolean any = given(vm, VmSpec, shutdown);
  guint64 timeout = any && given(spec, ShutdownSpec, timeout) ? spec->timeout : SHUTDOWN_TIMEOUT;
  guint64 retry = any && given(spec, ShutdownSpec, retryInterval) ? spec->retryInterval : 10000;
  gboolean force = any && given(spec, ShutdownSpec, force) ? spec->force : unless_told;
  g_autofree char *timeout_text = g_strdup_printf("%" G_GUINT64_FORMAT, timeout);
  g_autofree char *retry_text = g_strdup_printf("%" G_GUINT64_FORMAT, retry);
  string_map_set(action->args, "timeout", timeout_text);
  string_map_set(action->args, "retryInterval", retry_text);
  string_map_set(action->args, "force", force ? "true" : "false");
  return g_strdup_printf("shut down, waiting up to %" G_GUINT64_FORMAT " s%s", timeout / 1000, force ? ", then power off" : " without powering off");
}

static Action *shut_down(Power *power) {
  g_autoptr(GPtrArray) later = plan_settle_off(power->domain, power->before);
  Action *action = act(power, ACTION_DOMAIN_SHUTDOWN, NULL, NULL, NULL);
  action->description = plan_shutdown(power->vm, TRUE, action);
  for (guint i = 0; i < later->len; i++) {
    build_wait(later->pdata[i], action->id);
    build_last(power->builder, later->pdata[i]);
    g_ptr_array_add(power->before, later->pdata[i]);
  }
  return action;
}

/* What has waited for the machine to be off. */
static void convert_disks(Power *power) {
  plan_convert(power->builder, power->object, power->domain, power->sources, power->before);
  for (guint i = 0; i < power->object->fields->len; i++) {
    FieldChange *change = power->object->fields->pdata[i];
    if (change->field == &DiskSpec_table.fields[DiskSpec_format] && !change->persistent)
      change->pending = FALSE;
  }
}

/* Our own restart was interrupted, whatever the policy says of machines that stop. */
static gboolean was_restarting(const Power *power) {
  const Ownership *owner = power->domain != NULL ? power->domain->owner : NULL;
  return owner != NULL && given(&owner->facts, FactsSpec, restarting);
}

/* It goes off, it was started since, or it never will: longer than this after it was given its time nobody expects that any more. */
#define GOES_OFF_LATE 600 /* seconds */

static gboolean may_go_off(const Power *power) {
  gint64 asked = power->domain->asked, now = power->builder->input->now;
  const VmSpec *vm = power->vm;
  gboolean stated = given(vm, VmSpec, shutdown) && given(&vm->shutdown, ShutdownSpec, timeout);
  gint64 patience = (gint64)((stated ? vm->shutdown.timeout : SHUTDOWN_TIMEOUT) / 1000) + GOES_OFF_LATE;
  return asked != 0 && now < asked + patience && asked < now + patience;
}

static void start_again(Power *power, const char *description) {
  string_map_set(act(power, ACTION_DOMAIN_START, description, NULL, NULL)->args, "again", "true");
}

/* Whether one that has stopped is started again. What the file newly asks for is no matter of its past:
 * then the record doesn't say yet that it shall run. */
static gboolean may_start(Power *power) {
  gboolean stated = given(power->vm, VmSpec, restartPolicy);
  RestartOn policy = stated ? power->vm->restartPolicy : RestartOn_always;
  const Ownership *owner = power->domain != NULL ? power->domain->owner : NULL;
  gboolean ran = owner != NULL && given(&owner->spec, VmSpec, powerState) && owner->spec.powerState == PowerState_running;
  if (policy == RestartOn_always || !ran || was_restarting(power))
    return TRUE;
  StopCause cause = actual_stop_cause(power->domain);
  gboolean failed = cause == STOP_FORCED || cause == STOP_CRASHED;
  if (cause == STOP_START_FAILED || (policy == RestartOn_onFailure && failed))
    return TRUE;
  const char *how = cause == STOP_SHUT_DOWN ? "it was shut down" : failed ? "it crashed or was powered off"
                    : "it is stopped, libvirt doesn't remember why";
  build_note(power->object, g_strdup_printf("%s: restartPolicy %s leaves it so; start it with 'virsh start'", how, RestartOn_words.words[policy]));
  return FALSE;
}

static const char *pending_fields(const PlanObject *object, GString *text) {
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    if (change->pending)
      g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", change->path);
  }
  return text->len > 0 ? text->str : NULL;
}

static gboolean states_restart(const VmSpec *vm) {
  return given(vm, VmSpec, updatePolicy) && given(&vm->updatePolicy, UpdatePolicySpec, restart);
}

gboolean plan_may_restart(const PlanBuilder *builder, const VmSpec *vm) {
  if (states_restart(vm))
    return vm->updatePolicy.restart == RestartPolicy_allowed;
  return (builder->input->allow & ALLOW(IMPACT_RESTART)) != 0;
}

static gboolean waits_for_start(const PlanObject *object) {
  for (guint i = 0; i < object->fields->len; i++)
    if (((const FieldChange *)object->fields->pdata[i])->effect == EFFECT_NEXT_START)
      return TRUE;
  return FALSE;
}

/* As it was: what waits for its next start is done when it runs, in the same run. Of saved memory only that shows what it lacks. */
static void bring_back(Power *power, ActionKind kind, const char *description) {
  act(power, kind, description, NULL, NULL);
  gboolean hidden = kind == ACTION_DOMAIN_START, waits = waits_for_start(power->object);
  power->object->follows |= hidden || waits;
  if (!plan_may_restart(power->builder, power->vm) || (!hidden && !waits))
    return;
  power->object->shown = IMPACT_RESTART;
  build_note(power->object, g_strdup(waits ? "it is restarted when it runs again, in the same run, for what can't change while it does"
                                           : "should it lack something then that can't change while it runs, it is restarted for that in the same run"));
}

void plan_restore(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions) {
  const VmSpec *vm = object_vm(object->desired);
  Power power = {builder, object, vm, found, sources, actions};
  gboolean stays = vm->powerState == PowerState_paused || (given(vm, VmSpec, startPaused) && vm->startPaused);
  if (stays)
    act(&power, ACTION_DOMAIN_START, "restore from the saved memory, CPUs stopped", "paused", "true");
  else
    bring_back(&power, ACTION_DOMAIN_START, "restore from the saved memory");
}

/* libvirt doesn't say since when. One that was killed in the middle of it says so for ever, also after it was started again. */
#define BEING_STARTED "libvirt says that it is being started at this moment"
#define ITS_END "if that doesn't end, libvirt was killed in the middle of it: stop its daemon, delete the machine's file in its directory of " \
                "what runs (/run/libvirt/qemu), and start the daemon again"

static void want_running(Power *power, PowerState now) {
  gboolean start_paused = given(power->vm, VmSpec, startPaused) && power->vm->startPaused;
  if (now == PowerState_stopped && !may_start(power))
    return;
  if (now == PowerState_stopped && was_restarting(power) && !start_paused)
    start_again(power, "start again, after a restart that was interrupted");
  else if (now == PowerState_stopped)
    act(power, ACTION_DOMAIN_START, start_paused ? "start, CPUs stopped" : "start", "paused", start_paused ? "true" : NULL);
  else if (now == PowerState_hibernated)
    bring_back(power, ACTION_DOMAIN_START, "restore from the saved memory");
  else if (now == PowerState_paused && start_paused)
    return;
  else if (now == PowerState_paused && actual_is_starting(power->domain)) /* waited for, not fought */
    build_note(power->object, g_strdup(BEING_STARTED "; " ITS_END));
  else if (now == PowerState_paused && actual_paused_by_choice(power->domain))
    bring_back(power, ACTION_DOMAIN_RESUME, "resume");
  else if (now == PowerState_paused)
    build_error(power->builder, power->object,
                g_strdup("it is paused by an error or by other work, not by a person: look at 'virsh domstate --reason', mend the cause and resume it"));
}

static void want_stopped(Power *power, PowerState now) {
  if (now == PowerState_paused && actual_is_starting(power->domain))
    build_note(power->object, g_strdup(BEING_STARTED ", and is stopped when that is done; " ITS_END));
  else if (now == PowerState_running || now == PowerState_paused) {
    shut_down(power);
    convert_disks(power);
  } else if (now == PowerState_hibernated && (power->builder->input->allow & ALLOW(IMPACT_DATA_LOSS)))
    act(power, ACTION_DOMAIN_DISCARD_SAVE, "discard the saved memory", NULL, NULL);
  else if (now == PowerState_hibernated)
    build_note(power->object, g_strdup("it is hibernated: its saved memory is kept; --allow data-loss discards it"));
}

static void want_paused(Power *power, PowerState now) {
  if (now == PowerState_running)
    act(power, ACTION_DOMAIN_PAUSE, "pause", NULL, NULL);
  else if (now == PowerState_stopped || now == PowerState_hibernated)
    act(power, ACTION_DOMAIN_START, now == PowerState_stopped ? "start, CPUs stopped" : "restore, CPUs stopped", "paused", "true");
}

static void want_hibernated(Power *power, PowerState now) {
  if (now == PowerState_running || now == PowerState_paused)
    act(power, ACTION_DOMAIN_HIBERNATE, "save the memory and stop", NULL, NULL);
}

/* Changes that wait for the next start: restarted for, or said so. */
static void pending(Power *power, PowerState now) {
  g_autoptr(GString) text = g_string_new(NULL);
  const char *fields = pending_fields(power->object, text);
  if (fields == NULL || now != PowerState_running)
    return;
  g_autofree char *stays_off = plan_may_restart(power->builder, power->vm) ? plan_start_trouble(power->builder, power->vm) : NULL;
  if (stays_off != NULL) {
    build_note(power->object, g_strdup_printf("pending restart: %s; it isn't restarted, since it couldn't start again: %s", fields, stays_off));
    return;
  }
  if (!plan_may_restart(power->builder, power->vm)) {
    build_note(power->object, g_strdup_printf("pending restart: %s%s", fields,
               states_restart(power->vm) ? "" : " (--allow restart, or updatePolicy.restart: allowed, restarts it)"));
    return;
  }
  Action *off = shut_down(power);
  string_map_set(off->args, "again", "true");
  plan_wait_to_start(power->builder, power->vm, power->domain, off); /* it isn't stopped for what it couldn't start without */
  convert_disks(power);
  start_again(power, "start again");
  for (guint i = 0; i < power->object->fields->len; i++) {
    FieldChange *change = power->object->fields->pdata[i];
    if (change->pending) {
      change->pending = FALSE;
      g_free(change->why);
      change->why = g_strdup("by the restart in this plan");
    }
  }
}

/* Drops the powerState change when no action follows from it: a stopped machine needs no
 * hibernating, and a paused one with startPaused is as declared. */
static void drop_power_change(PlanObject *object, gboolean acted) {
  const Field *row = &VmSpec_table.fields[VmSpec_powerState];
  for (guint i = 0; !acted && i < object->fields->len; i++)
    if (((FieldChange *)object->fields->pdata[i])->field == row) {
      g_ptr_array_remove_index(object->fields, i);
      return;
    }
}

static void await_restart(Power *power) {
  if (!may_go_off(power)) /* it came up again, and that wasn't noted */
    start_again(power, "note that its restart is over");
  else if (!given(power->vm, VmSpec, powerState) || power->vm->powerState == PowerState_running)
    build_note(power->object, g_strdup("it was asked to shut down by a run that didn't wait for it; should it go off, it is started again"));
}

void plan_power(PlanBuilder *builder, PlanObject *object, const ActualDomain *existing, const GPtrArray *sources, GPtrArray *before) {
  const VmSpec *vm = object_vm(object->desired);
  Power power = {builder, object, vm, existing, sources, before};
  PowerState now = PowerState_stopped;
  if (existing != NULL) {
    if (!given(&existing->persistent, VmSpec, powerState)) {
      object->passing = given(vm, VmSpec, powerState);
      if (object->passing)
        build_error(builder, object, g_strdup_printf("it is %s: not touched until that is over", power_state_word(existing->state, existing->has_managed_save)));
      return;
    }
    now = existing->persistent.powerState;
  }
  if (was_restarting(&power) && now == PowerState_running)
    await_restart(&power);
  if (!given(vm, VmSpec, powerState)) {
    if (was_restarting(&power) && now == PowerState_stopped)
      start_again(&power, "start again, after a restart that was interrupted");
    else
      pending(&power, now);
    return;
  }
  guint count = before->len;
  static void (*const want[PowerState_N])(Power *, PowerState) = {want_running, want_stopped, want_paused, want_hibernated};
  want[vm->powerState](&power, now);
  drop_power_change(object, before->len > count || object->change == CHANGE_ERROR);
  if (before->len == count && object->change != CHANGE_ERROR)
    pending(&power, now);
}
