/* What a machine keeps beside its disks: UEFI variables and the state of its TPM. Of what runs, both are sent with its memory;
 * only the old file of the variables is left behind then, which libvirt doesn't delete. */
#include "reconciler/plan/migration.h"

const ActualVolume *move_shared_state(const Actual *actual, const FleetHost *now, const ActualDomain *domain, const char *to) {
  const ActualVolume *file = domain->nvram != NULL ? g_hash_table_lookup(actual->volumes_by_path, domain->nvram) : NULL;
  return file != NULL && file->pool != NULL && fleet_host_shares(now, file->pool, to) ? file : NULL;
}

static const ActualVolume *shared(const Move *move) { return move_shared_state(move->builder->input->actual, move->placed->now, move->domain, move->to); }

static gboolean takes_nvram(const Move *move) { return move->domain->has_nvram && shared(move) == NULL; }

char *move_state_refusal(const Move *move) {
  const ActualDomain *domain = move->domain;
  if (!move->live && given(&domain->persistent, VmSpec, tpm))
    return g_strdup("its TPM's state can't be moved while it is stopped, since libvirt has no call for that: start it and move it live");
  if (!domain->has_nvram || domain->nvram != NULL)
    return shared(move) != NULL ? move_pool_refusal(move, shared(move)) : NULL;
  return g_strdup(move->live ? "its UEFI variables aren't in a file of its host: give them one (<nvram> of its definition)"
                             : "its UEFI variables can't be taken along, since libvirt tells where they are only while it runs: start it, then move it");
}

void move_state(Move *move) {
  if (shared(move) != NULL)
    move_rely_on(move, shared(move)->pool);
  if (!takes_nvram(move))
    return;
  Action *action = move->live ? move_act(move, ACTION_MOVE_PREPARE, g_strdup_printf("make room for its UEFI variables on %s", move->to))
                              : move_act(move, ACTION_MOVE_VOLUME, g_strdup_printf("copy its UEFI variables to %s", move->to));
  string_map_set(action->args, "path", move->domain->nvram);
  g_string_append_printf(move->left, "%s%s", move->left->len > 0 ? "\n" : "", move->domain->nvram);
}

void move_state_note(const Move *move, Action *action) {
  if (move->domain->nvram != NULL)
    string_map_set(action->args, "nvram", move->domain->nvram);
}
