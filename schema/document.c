/* Kinds, objects and the set of them. */
#include "schema/document.h"
#include "schema/digest.h"
#include <string.h>

const KindInfo kinds[KIND_N] = {
    [KIND_HOST] = {"Host", "host", &HostSpec_table, "A hypervisor host, in a source for several"},
    [KIND_STORAGE_POOL] = {"StoragePool", "pool", &StoragePoolSpec_table, "A storage pool of libvirt"},
    [KIND_NETWORK] = {"Network", "network", &NetworkSpec_table, "A virtual network of libvirt"},
    [KIND_IMAGE] = {"Image", "image", &ImageSpec_table, "A base image that disks are made from"},
    [KIND_VOLUME] = {"Volume", "volume", &VolumeSpec_table, "A volume in a storage pool, apart from any machine"},
    [KIND_PROFILE] = {"Profile", "profile", &VmSpec_table, "Named defaults that virtual machines build on"},
    [KIND_VIRTUAL_MACHINE] = {"VirtualMachine", "vm", &VmSpec_table, "A virtual machine: a domain of libvirt"},
};

Object *object_new(Kind kind, const char *name) {
  Object *object = g_new0(Object, 1);
  object->refs = 1;
  object->kind = kind;
  object->spec = spec_new(kinds[kind].spec);
  if (name) {
    object->metadata.name = g_strdup(name);
    set_given(&object->metadata, MetadataSpec, name);
  }
  return object;
}

Object *object_copy(const Object *object) {
  Object *copy = g_new0(Object, 1);
  copy->refs = 1;
  copy->kind = object->kind;
  copy->at = object->at;
  spec_copy_into(&MetadataSpec_table, &object->metadata, &copy->metadata);
  copy->spec = spec_copy(kinds[object->kind].spec, object->spec);
  return copy;
}

Object *object_ref(const Object *object) {
  Object *shared = (Object *)object;
  g_atomic_int_inc(&shared->refs);
  return shared;
}

void object_free(Object *object) {
  if (!object || !g_atomic_int_dec_and_test(&object->refs))
    return;
  spec_clear(&MetadataSpec_table, &object->metadata);
  spec_free(kinds[object->kind].spec, object->spec);
  node_free(object->node);
  g_free(object);
}

char *object_id(Kind kind, const char *name) { return g_strconcat(kinds[kind].word, "/", name, NULL); }

static void object_release(gpointer object) { object_free(object); }

Desired *desired_new(void) {
  Desired *desired = g_new(Desired, 1);
  *desired = (Desired){
      .objects = g_ptr_array_new_with_free_func(object_release),
      .by_id = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
      .broken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
  };
  return desired;
}

void desired_free(Desired *desired) {
  if (!desired)
    return;
  g_ptr_array_unref(desired->objects);
  g_hash_table_unref(desired->by_id);
  g_hash_table_unref(desired->broken);
  g_free(desired);
}

static gboolean equal_objects(const Object *a, const Object *b) {
  return a->kind == b->kind && g_strcmp0(a->at.file, b->at.file) == 0 && a->at.line == b->at.line &&
         spec_equal(&MetadataSpec_table, &a->metadata, &b->metadata) && spec_equal(kinds[a->kind].spec, a->spec, b->spec);
}

gboolean desired_equal(const Desired *a, const Desired *b) {
  gboolean equal = a->objects->len == b->objects->len;
  for (guint i = 0; equal && i < a->objects->len; i++)
    equal = equal_objects(a->objects->pdata[i], b->objects->pdata[i]);
  return equal;
}

const Object *desired_find(const Desired *desired, Kind kind, const char *name) {
  g_autofree char *id = object_id(kind, name);
  return g_hash_table_lookup(desired->by_id, id);
}

/* Version 5 of RFC 4122: SHA-1 of a namespace and a name. The namespace is version 5 itself,
 * of "https://reconcile.dev/xmlns/1" in the namespace of URLs, and must never change. */
char *derive_uuid(const char *kind_word, const char *name) {
  static const guchar space[16] = {0x64, 0xa7, 0x29, 0xaa, 0x11, 0x7f, 0x57, 0x1f, 0xbd, 0x76, 0x2f, 0x50, 0xea, 0xb9, 0x4a, 0x02};
  guchar hash[20];
  gsize length = sizeof(hash);
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
  g_checksum_update(sum, space, sizeof(space));
  g_checksum_update(sum, (const guchar *)kind_word, (gssize)strlen(kind_word));
  g_checksum_update(sum, (const guchar *)"/", 1);
  g_checksum_update(sum, (const guchar *)name, (gssize)strlen(name));
  g_checksum_get_digest(sum, hash, &length);
  hash[6] = (guchar)((hash[6] & 0x0f) | 0x50);
  hash[8] = (guchar)((hash[8] & 0x3f) | 0x80);
  return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3],
                         hash[4], hash[5], hash[6], hash[7], hash[8], hash[9], hash[10], hash[11], hash[12], hash[13], hash[14],
                         hash[15]);
}

const char *desired_fleet(const Desired *desired) {
  const Object *first = desired->objects->len > 0 ? desired->objects->pdata[0] : NULL;
  const HostSpec *host = first && first->kind == KIND_HOST ? first->spec : NULL;
  return host && given(host, HostSpec, fleet) ? host->fleet : NULL;
}

static char *within_fleet(const char *fleet, const char *name) { return fleet ? g_strconcat(fleet, "/", name, NULL) : g_strdup(name); }

char *derive_vm_uuid(const char *fleet, const char *vm) {
  g_autofree char *named = within_fleet(fleet, vm);
  return derive_uuid(kinds[KIND_VIRTUAL_MACHINE].word, named);
}

char *derive_mac(const char *fleet, const char *vm, const char *interface) {
  g_autofree char *machine = within_fleet(fleet, vm), *named = g_strconcat(machine, "/", interface, NULL);
  g_autofree char *hash = digest_of_data(named, strlen(named));
  return g_strdup_printf("52:%.2s:%.2s:%.2s:%.2s:%.2s", hash, hash + 2, hash + 4, hash + 6, hash + 8);
}

guint64 numa_memory(const NumaSpec *numa) {
  guint64 sum = 0;
  for (guint i = 0; given(numa, NumaSpec, cells) && i < numa->cells->len; i++)
    sum += ((const NumaCellSpec *)numa->cells->pdata[i])->memory;
  return sum;
}
