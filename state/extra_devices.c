#include "state/extra_devices.h"
#include "state/xml_tree.h"

#include <string.h>

/* Elements of <devices> (libvirt's domaincommon.rng). Without an alias, an element couldn't
 * be found again once libvirt has put it into its own words. */
static const struct {
  const char *name, *refused; /* why; NULL: it may be given */
} devices[] = {
    {"channel", NULL},   {"console", NULL},    {"controller", NULL}, {"crypto", NULL},   {"disk", NULL},
    {"filesystem", NULL}, {"hostdev", NULL},   {"hub", NULL},        {"input", NULL},    {"interface", NULL},
    {"iommu", NULL},     {"memballoon", NULL}, {"memory", NULL},     {"panic", NULL},    {"parallel", NULL},
    {"redirdev", NULL},  {"rng", NULL},        {"serial", NULL},     {"shmem", NULL},    {"smartcard", NULL},
    {"sound", NULL},     {"tpm", NULL},        {"video", NULL},      {"vsock", NULL},    {"watchdog", NULL},
    {"audio", "libvirt gives it no alias, so it couldn't be found again"},
    {"emulator", "it names a program that libvirt would run"},
    {"graphics", "libvirt gives it no alias, so it couldn't be found again; use the field graphics"},
    {"lease", "libvirt gives it no alias, so it couldn't be found again"},
    {"nvram", "libvirt gives it no alias, so it couldn't be found again"},
    {"redirfilter", "libvirt gives it no alias, so it couldn't be found again"},
};

static gboolean check_name(const char *name, GError **error) {
  const char *why = "libvirt has no such device";
  for (guint i = 0; i < G_N_ELEMENTS(devices); i++)
    if (strcmp(devices[i].name, name) == 0) {
      if (!devices[i].refused)
        return TRUE;
      why = devices[i].refused;
    }
  g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, "devices.extra: <%s> can't be given: %s", name, why);
  return FALSE;
}

typedef struct {
  const char *text;
  xmlDoc *doc;
  char *alias;
  gboolean own_alias;
} Extra;

static void extra_free(Extra *extra) {
  g_clear_pointer(&extra->doc, xmlFreeDoc);
  g_free(extra->alias);
  g_free(extra);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Extra, extra_free)

static const char *alias_of(xmlNode *element) {
  xmlNode *alias = xml_first_child(element, "alias");
  return alias ? xml_attribute(alias, "name") : NULL;
}

/* Two devices that are given alike are told apart by a number. */
static char *digest_alias(char *const *texts, guint index) {
  guint alike = 1;
  for (guint i = 0; i < index; i++)
    alike += strcmp(texts[i], texts[index]) == 0;
  g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, texts[index], -1);
  return alike == 1 ? g_strdup_printf("ua-reconcile-%.12s", digest)
                    : g_strdup_printf("ua-reconcile-%.12s-%u", digest, alike);
}

static Extra *extra_parse(char *const *texts, guint index, GError **error) {
  g_autoptr(Extra) extra = g_new0(Extra, 1);
  extra->text = texts[index];
  extra->doc = xml_parse(extra->text, "devices.extra", error);
  if (!extra->doc)
    return NULL;
  xmlNode *root = xmlDocGetRootElement(extra->doc);
  if (root->ns) {
    g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, "devices.extra: <%s> is of a namespace, not libvirt's", root->name);
    return NULL;
  }
  if (!check_name((const char *)root->name, error))
    return NULL;
  const char *alias = alias_of(root);
  extra->own_alias = alias && g_str_has_prefix(alias, "ua-");
  extra->alias = extra->own_alias ? g_strdup(alias) : digest_alias(texts, index);
  return g_steal_pointer(&extra);
}

static gpointer extra_find(const GPtrArray *extras, const char *alias) {
  for (guint i = 0; i < extras->len; i++)
    if (strcmp(((Extra *)extras->pdata[i])->alias, alias) == 0)
      return extras->pdata[i];
  return NULL;
}

/* error NULL: what can't be parsed is left out (it was never put into a domain). */
static GPtrArray *extras_parse(char *const *texts, GError **error) {
  g_autoptr(GPtrArray) extras = g_ptr_array_new_with_free_func((GDestroyNotify)extra_free);
  for (guint i = 0; texts && texts[i]; i++) {
    g_autoptr(Extra) extra = extra_parse(texts, i, error);
    if (!extra && error)
      return NULL;
    if (extra && error && extra_find(extras, extra->alias)) {
      g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, "devices.extra: the alias %s is given twice", extra->alias);
      return NULL;
    }
    if (extra)
      g_ptr_array_add(extras, g_steal_pointer(&extra));
  }
  return g_steal_pointer(&extras);
}

static xmlNode *element_find(xmlNode *domain, const char *alias) {
  xmlNode *all = xml_first_child(domain, "devices");
  xmlNode *element = all ? xml_first_child(all, NULL) : NULL;
  while (element && g_strcmp0(alias_of(element), alias) != 0)
    element = xml_next_sibling(element, NULL);
  return element;
}

static void insert(xmlNode *domain, const Extra *extra) {
  xmlNode *all = xml_first_child(domain, "devices");
  if (!all)
    all = xml_add_child(domain, NULL, "devices");
  xmlNode *element = xmlDocCopyNode(xmlDocGetRootElement(extra->doc), domain->doc, 1);
  xml_insert(all, NULL, element);
  xmlNode *alias = xml_first_child(element, "alias");
  if (!alias)
    alias = xml_add_child(element, NULL, "alias");
  xml_set_attribute(alias, "name", extra->alias);
}

gboolean extra_devices_patch(xmlNode *domain, char *const *desired, char *const *applied, gboolean *ret_changed,
                             GError **error) {
  g_autoptr(GError) problem = NULL;
  g_autoptr(GPtrArray) wanted = extras_parse(desired, &problem);
  if (!wanted) {
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  g_autoptr(GPtrArray) last = extras_parse(applied, NULL);
  gboolean changed = FALSE;
  for (guint i = 0; i < last->len; i++) {
    const Extra *extra = last->pdata[i];
    xmlNode *element = extra_find(wanted, extra->alias) ? NULL : element_find(domain, extra->alias);
    if (element)
      xml_remove(element);
    changed |= element != NULL;
  }
  for (guint i = 0; i < wanted->len; i++) {
    const Extra *extra = wanted->pdata[i], *before = extra_find(last, extra->alias);
    xmlNode *element = element_find(domain, extra->alias);
    /* A digest stands for its text; under an own alias another text may have been given. */
    if (element && (!extra->own_alias || (before && strcmp(before->text, extra->text) == 0)))
      continue;
    if (element)
      xml_remove(element);
    insert(domain, extra);
    changed = TRUE;
  }
  *ret_changed = changed;
  return TRUE;
}

char **extra_devices_read(xmlNode *domain, char *const *applied) {
  g_autoptr(GPtrArray) last = extras_parse(applied, NULL);
  g_autoptr(GStrvBuilder) found = g_strv_builder_new();
  gboolean any = FALSE;
  for (guint i = 0; i < last->len; i++) {
    const Extra *extra = last->pdata[i];
    if (!element_find(domain, extra->alias))
      continue;
    g_strv_builder_add(found, extra->text);
    any = TRUE;
  }
  return any ? g_strv_builder_end(found) : NULL;
}
