/* Storage pools. libvirt keeps no metadata for pools: a pool is ours when it has the UUID
 * that follows from its name, or when its declaration adopts it. */
#include "reconciler/act/common.h"
#include "state/fault.h"
#include "state/life_sign.h"
#include "state/object_xml.h"

static gboolean pool_check_ours(const ActionContext *context, virStoragePoolPtr pool, GError **error) {
  char uuid[VIR_UUID_STRING_BUFLEN];
  if (virStoragePoolGetUUIDString(pool, uuid) < 0)
    return libvirt_fail(error, "cannot read the UUID of storage pool %s", context->object->name);
  g_autofree char *ours = derive_uuid("pool", context->object->name);
  if (g_str_equal(uuid, ours) || act_adopts(context))
    return TRUE;
  return act_refuse(error, "storage pool %s isn't ours: it wasn't made by reconcile; "
                    "to take it over, declare it with metadata.adopt: true", context->object->name);
}

static virStoragePoolPtr own_pool(const ActionContext *context, GError **error) {
  g_autoptr(VirStoragePool) pool = act_pool(context, context->object->name, error);
  if (!pool || !pool_check_ours(context, pool, error))
    return NULL;
  return g_steal_pointer(&pool);
}

static gboolean pool_active(virStoragePoolPtr pool, gboolean *ret_active, GError **error) {
  const char *name = virStoragePoolGetName(pool); /* asking for it forgets the last error */
  int active = virStoragePoolIsActive(pool);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether storage pool %s is active", name);
  *ret_active = active;
  return TRUE;
}

/* The first field that the declaration gives and the pool has otherwise; NULL: none. */
static const Field *differing(const FieldTable *table, gconstpointer desired, gconstpointer actual) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, desired, field) || !field->xml)
      continue;
    if (field->type == VALUE_GROUP) {
      const Field *inner = differing(field->sub, field_member(field, desired), field_member(field, actual));
      if (inner)
        return inner;
    } else if (!field_equal(table, field, desired, actual)) {
      return field;
    }
  }
  return NULL;
}

/* A pool of the name is there: done when it is what we would define. */
static gboolean pool_is_as_declared(const ActionContext *context, virStoragePoolPtr pool, GError **error) {
  if (!pool_check_ours(context, pool, error))
    return FALSE;
  g_autofree char *text = virStoragePoolGetXMLDesc(pool, 0);
  if (!text)
    return libvirt_fail(error, "cannot read the definition of storage pool %s", context->object->name);
  g_autoptr(xmlDoc) doc = xml_parse(text, context->object->name, error);
  if (!doc)
    return FALSE;
  StoragePoolSpec actual = { 0 };
  pool_xml_read(xmlDocGetRootElement(doc), &actual);
  const Field *field = differing(&StoragePoolSpec_table, context->object->desired->spec, &actual);
  spec_clear(&StoragePoolSpec_table, &actual);
  if (!field)
    return TRUE;
  return act_refuse(error, "there is a storage pool %s already, with another %s", context->object->name, field->key);
}

gboolean act_pool_define(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  const char *name = context->object->name;
  g_autoptr(VirStoragePool) existing = NULL;
  if (!act_find_pool(context, name, &existing, error))
    return FALSE;
  if (existing && virStoragePoolIsPersistent(existing) == 1)
    return pool_is_as_declared(context, existing, error);

  g_autofree char *uuid = derive_uuid("pool", name);
  g_autoptr(xmlDoc) doc = pool_xml_new(name, context->object->desired->spec, uuid, error);
  virConnectPtr connect = doc ? connection_get(context->connection, error) : NULL;
  if (!connect)
    return FALSE;
  g_autofree char *text = xml_text(doc);
  g_autoptr(VirStoragePool) pool = virStoragePoolDefineXML(connect, text, 0);
  return pool || libvirt_fail(error, "cannot define storage pool %s", name);
}

/* Whether the volume group is there already, so that building must not be tried. */
static gboolean volume_group_exists(virConnectPtr connect, const char *group, gboolean *ret_exists, GError **error) {
  g_autofree char *sources = virConnectFindStoragePoolSources(connect, "logical", NULL, 0);
  if (!sources)
    return libvirt_fail(error, "cannot list volume groups");
  g_autoptr(xmlDoc) doc = xml_parse(sources, "volume groups", error);
  if (!doc)
    return FALSE;
  g_autoptr(GPtrArray) found = xml_path_all(xml_path("source"), xmlDocGetRootElement(doc));
  *ret_exists = FALSE;
  for (guint i = 0; i < found->len; i++) {
    g_autofree char *name = xml_path_get(xml_path("name"), found->pdata[i]);
    *ret_exists |= g_strcmp0(name, group) == 0;
  }
  return TRUE;
}

/* libvirt says "already built" of the declared format and of any other alike. Whether it is
 * the declared one shows by mounting it. */
static gboolean pool_check_mountable(virStoragePoolPtr pool, GError **error) {
  const char *name = virStoragePoolGetName(pool);
  if (LIFE_LONG(virStoragePoolCreate(pool, 0)) < 0)
    return libvirt_fail(error, "cannot build storage pool %s: its device holds something else", name);
  FAULT("pool: mounted to look at it");
  return LIFE_LONG(virStoragePoolDestroy(pool)) == 0 || libvirt_fail(error, "cannot stop storage pool %s", name);
}

gboolean act_pool_build(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirStoragePool) pool = own_pool(context, error);
  gboolean active = FALSE;
  if (!pool || !pool_active(pool, &active, error))
    return FALSE;
  if (active)
    return TRUE;
  const StoragePoolSpec *spec = context->object->desired->spec;
  gboolean exists = FALSE;
  if (spec->type == PoolType_logical) {
    const char *group = given(&spec->source, PoolSourceSpec, name) ? spec->source.name : context->object->name;
    if (!volume_group_exists(virStoragePoolGetConnect(pool), group, &exists, error))
      return FALSE;
  }
  if (exists)
    return TRUE;
  /* For directories and mount points, building is making the directory; an existing one stays. */
  gboolean formats = spec->type == PoolType_fs || spec->type == PoolType_logical;
  if (LIFE_LONG(virStoragePoolBuild(pool, formats ? VIR_STORAGE_POOL_BUILD_NO_OVERWRITE : 0)) == 0)
    return TRUE;
  if (spec->type == PoolType_fs && virGetLastErrorCode() == VIR_ERR_STORAGE_POOL_BUILT)
    return pool_check_mountable(pool, error);
  return libvirt_fail(error, "cannot build storage pool %s", context->object->name);
}

gboolean act_pool_start(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirStoragePool) pool = own_pool(context, error);
  gboolean active = FALSE;
  if (!pool || !pool_active(pool, &active, error))
    return FALSE;
  if (active)
    return TRUE;
  if (LIFE_LONG(virStoragePoolCreate(pool, 0)) < 0)
    return libvirt_fail(error, "cannot start storage pool %s", context->object->name);
  if (!pool_active(pool, &active, error))
    return FALSE;
  return active || act_fail(error, "storage pool %s was started but isn't active", context->object->name);
}

static gboolean pool_stop(virStoragePoolPtr pool, GError **error) {
  const char *name = virStoragePoolGetName(pool);
  gboolean active = FALSE;
  if (!pool_active(pool, &active, error))
    return FALSE;
  if (active && LIFE_LONG(virStoragePoolDestroy(pool)) < 0)
    return libvirt_fail(error, "cannot stop storage pool %s", name);
  return TRUE;
}

gboolean act_pool_stop(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirStoragePool) pool = own_pool(context, error);
  return pool && pool_stop(pool, error);
}

gboolean act_pool_autostart(const ActionContext *context, const Action *action, GError **error) {
  const char *value = act_need(action, "value", error);
  g_autoptr(VirStoragePool) pool = value ? own_pool(context, error) : NULL;
  if (!pool)
    return FALSE;
  int wanted = g_str_equal(value, "true"), now;
  if (virStoragePoolGetAutostart(pool, &now) < 0)
    return libvirt_fail(error, "cannot read autostart of storage pool %s", context->object->name);
  if (!!now == wanted || virStoragePoolSetAutostart(pool, wanted) == 0)
    return TRUE;
  return libvirt_fail(error, "cannot set autostart of storage pool %s", context->object->name);
}

gboolean act_pool_undefine(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirStoragePool) pool = NULL;
  if (!act_find_pool(context, context->object->name, &pool, error))
    return FALSE;
  if (!pool)
    return TRUE;
  if (!pool_check_ours(context, pool, error) || !pool_stop(pool, error))
    return FALSE;
  FAULT("pool: stopped to be undefined");
  return virStoragePoolUndefine(pool) == 0 ||
         libvirt_fail(error, "cannot undefine storage pool %s", context->object->name);
}
