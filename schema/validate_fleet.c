/* Rules for hosts, and for where things are in a source that declares some. */
#include "schema/validate.h"
#include <string.h>

static void check_uri(const Check *check, const char *path, const char *uri) {
  g_autoptr(GUri) parsed = g_uri_parse(uri, G_URI_FLAGS_HAS_PASSWORD | G_URI_FLAGS_PARSE_RELAXED, NULL);
  if (!parsed)
    check_error(check, path, "\"%s\" isn't a URI such as qemu+ssh://root@kvm-1/system", uri);
  else if (g_uri_get_password(parsed))
    check_error(check, path, "a URI must not hold a password: everybody who reads the plan would see it");
}

void validate_host(const Check *check) {
  const HostSpec *host = check->object->spec;
  check_uri(check, "uri", host->uri);
  if (given(host, HostSpec, migrationUri))
    check_uri(check, "migrationUri", host->migrationUri);
  if (given(host, HostSpec, migrationUri) && g_str_has_prefix(host->migrationUri, "rdma:"))
    check_error(check, "migrationUri", "machines aren't sent by RDMA: give a tcp:// address");
  if (given(host, HostSpec, peerUri))
    check_uri(check, "peerUri", host->peerUri);
  for (guint i = 0; host->sharedPools && i < host->sharedPools->len; i++) {
    const SharedPoolSpec *shared = host->sharedPools->pdata[i];
    const Check item = check_item(check, "sharedPools", shared->pool);
    for (char **with = shared->with; with && *with; with++) {
      if (strcmp(*with, check->object->metadata.name) == 0)
        check_error(&item, "with", "a pool is shared with other hosts, not with its own");
      else
        check_reference(&item, "with", KIND_HOST, *with);
    }
  }
}

void validate_placement(const Check *check) {
  const VmSpec *vm = object_vm(check->object);
  if (!given(vm, VmSpec, placement))
    return;
  const PlacementSpec *placement = &vm->placement;
  if (given(placement, PlacementSpec, host) && !given(placement, PlacementSpec, selector))
    check_reference(check, "placement.host", KIND_HOST, placement->host);
  if (!given(placement, PlacementSpec, host) && given(placement, PlacementSpec, selector) && placement->selector->keys->len == 0)
    check_error(check, "placement.selector", "an empty selector would match every host: give labels, or a host");
}

static char **hosts_of(const Object *object) {
  switch (object->kind) {
  case KIND_STORAGE_POOL: return ((const StoragePoolSpec *)object->spec)->hosts;
  case KIND_NETWORK: return ((const NetworkSpec *)object->spec)->hosts;
  case KIND_VOLUME: return ((const VolumeSpec *)object->spec)->hosts;
  default: return NULL;
  }
}

static gboolean has_placement(const VmSpec *vm) {
  return given(vm, VmSpec, placement) && (given(&vm->placement, PlacementSpec, host) || given(&vm->placement, PlacementSpec, selector));
}

/* So that a machine is the same one on each of them. */
static void validate_name_of_fleet(const Check *check) {
  const char *name = desired_fleet(check->desired), *own = ((const HostSpec *)check->object->spec)->fleet;
  if (g_strcmp0(own, name) != 0)
    check_error(check, own ? "fleet" : "", "all hosts of a source are of one fleet, and %s of %s: give each of them the same name, or none",
                ((const Object *)check->desired->objects->pdata[0])->metadata.name, name ? name : "none");
}

void validate_fleet(const Desired *desired, Diagnostics *diagnostics) {
  guint hosts = 0;
  for (guint i = 0; i < desired->objects->len; i++)
    hosts += ((const Object *)desired->objects->pdata[i])->kind == KIND_HOST;
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    const Check check = {.desired = desired, .object = object, .diagnostics = diagnostics, .adopt = object->metadata.adopt};
    if (object->kind == KIND_HOST)
      validate_name_of_fleet(&check);
    for (char **name = hosts_of(object); name && *name; name++)
      check_reference(&check, "hosts", KIND_HOST, *name);
    if (hosts > 1 && object->kind == KIND_VIRTUAL_MACHINE && !has_placement(object->spec))
      check_error(&check, "", "in a source for several hosts a machine needs a placement: give placement.host or placement.selector");
    if (hosts == 0 && object->kind == KIND_VIRTUAL_MACHINE && has_placement(object->spec))
      check_error(&check, "placement", "this source declares no Host: remove the placement, or declare the hosts");
  }
}
