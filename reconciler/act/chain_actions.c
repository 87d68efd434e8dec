/* The actions on disk chains: layers merged, disks made stand-alone, and what an interrupted run left put away. */
#include "reconciler/act/block_job.h"
#include "reconciler/act/layer_flush.h"
#include "reconciler/act/layer_guard.h"
#include "reconciler/act/layer_merge.h"
#include "reconciler/act/layer_pulled.h"
#include "reconciler/act/layer_remove.h"
#include "reconciler/act/replace_disk.h"
#include "reconciler/plan/disk_facts.h"

gboolean act_layer_commit(const ActionContext *context, const Action *action, GError **error) {
  LayerMerge merge = { .target = act_need(action, "target", error) };
  return merge.target && (merge.top = act_need(action, "top", error)) && (merge.base = act_need(action, "base", error)) &&
         act_arg_optional(action, "bandwidth", &merge.bandwidth, error) && layer_flush(context, action, merge.target, error) &&
         layer_merge(context, action, &merge, error);
}

static gboolean replace(const ActionContext *context, const Action *action, GError **error) {
  DiskReplacement replacement;
  return replace_read(action, &replacement, error) && layer_flush(context, action, replacement.target, error) &&
         replace_disk(context, action, &replacement, error);
}

gboolean act_check_replacement(const ActionContext *context, const Action *action, GError **error) {
  DiskReplacement replacement;
  return !act_arg(action, "volume") || (replace_read(action, &replacement, error) && replace_check(context, &replacement, error));
}

gboolean act_disk_convert(const ActionContext *context, const Action *action, GError **error) {
  return replace(context, action, error);
}

gboolean act_disk_flatten(const ActionContext *context, const Action *action, GError **error) {
  const char *target = act_need(action, "target", error), *volume = act_arg(action, "volume");
  guint64 bandwidth = 0;
  if (!target || !act_arg_optional(action, "bandwidth", &bandwidth, error))
    return FALSE;
  return volume ? replace(context, action, error) : layer_flatten(context, action, target, bandwidth, error);
}

/* A job that was begun for what nobody wants any more. */
static gboolean abort_job(const ActionContext *context, const char *target, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, target, &layers, error))
    return FALSE;
  const DiskFactSpec *fact = disk_facts(layers.facts, target);
  gboolean ours = fact && given(fact, DiskFactSpec, leaving);
  return !ours || !layers.now->active || block_job_abort(layers.domain, target, error);
}

gboolean act_check_settling(const ActionContext *context, const Action *action, GError **error) {
  const char *target = act_arg(action, "target");
  return !target || pull_check(context, target, error);
}

gboolean act_disk_settle(const ActionContext *context, const Action *action, GError **error) {
  const char *target = act_arg(action, "target");
  gboolean retired = g_strcmp0(act_arg(action, "retired"), "true") == 0;
  if (!end_helper(context, error))
    return FALSE;
  if (!target)
    return TRUE;
  return abort_job(context, target, error) && layer_flush(context, action, target, error) && layers_remove(context, target, error) &&
         coming_remove(context, target, error) && (retired ? retired_remove(context, target, error) : retired_forget(context, target, error));
}
