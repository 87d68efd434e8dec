/* Walking a compiled path: finding, making and removing nodes. */
#include "state/xml_path.h"
#include "state/xml_path_compile.h"
#include "state/xml_tree.h"

#include <string.h>

static gboolean predicate_holds(const Predicate *predicate, xmlNode *element) {
  if (!predicate->child)
    return g_strcmp0(xml_attribute(element, predicate->attribute), predicate->value) == 0;
  for (xmlNode *child = xml_first_child(element, predicate->child); child;
       child = xml_next_sibling(child, predicate->child))
    if (g_strcmp0(xml_attribute(child, predicate->attribute), predicate->value) == 0)
      return TRUE;
  return FALSE;
}

static gboolean predicates_hold(const GArray *predicates, xmlNode *element) {
  for (guint i = 0; i < predicates->len; i++)
    if (!predicate_holds(&g_array_index(predicates, Predicate, i), element))
      return FALSE;
  return TRUE;
}

static void make_predicates_true(const GArray *predicates, xmlNode *element) {
  for (guint i = 0; i < predicates->len; i++) {
    const Predicate *predicate = &g_array_index(predicates, Predicate, i);
    if (predicate_holds(predicate, element))
      continue;
    xmlNode *owner = element;
    if (predicate->child && !(owner = xml_first_child(element, predicate->child)))
      owner = xml_add_child(element, NULL, predicate->child);
    xml_set_attribute(owner, predicate->attribute, predicate->value);
  }
}

static xmlNode *step_next(const Step *step, xmlNode *candidate) {
  while (candidate && !predicates_hold(step->predicates, candidate))
    candidate = xml_next_sibling(candidate, step->name);
  return candidate;
}

static xmlNode *step_find(const Step *step, xmlNode *from) {
  return step_next(step, xml_first_child(from, step->name));
}

static xmlNode *step_make(const Step *step, xmlNode *from) {
  xmlNode *element = step_find(step, from);
  if (element)
    return element;
  xmlNode *other = xml_first_child(from, step->name);
  if (other && step->single)
    xml_remove(other);
  element = xml_add_child(from, NULL, step->name);
  make_predicates_true(step->predicates, element);
  return element;
}

/* The element that the alternative ends at or whose attribute it names, present or not. */
static xmlNode *owner_find(const Alternative *alternative, xmlNode *from) {
  if (!predicates_hold(alternative->leading, from))
    return NULL;
  for (guint i = 0; from && i < alternative->steps->len; i++)
    from = step_find(&path_step(alternative, i), from);
  return from;
}

static xmlNode *alternative_find(const Alternative *alternative, xmlNode *from) {
  xmlNode *owner = owner_find(alternative, from);
  return owner && alternative->attribute && !xml_attribute(owner, alternative->attribute) ? NULL : owner;
}

static xmlNode *owner_make(const Alternative *alternative, xmlNode *from) {
  if (!predicates_hold(alternative->leading, from)) {
    xmlNode *stale = alternative->steps->len ? xml_first_child(from, path_step(alternative, 0).name) : NULL;
    if (stale)
      xml_remove(stale);
    make_predicates_true(alternative->leading, from);
  }
  for (guint i = 0; i < alternative->steps->len; i++)
    from = step_make(&path_step(alternative, i), from);
  return from;
}

static const Alternative *existing(const XmlPath *path, xmlNode *from, xmlNode **ret_node) {
  for (guint i = 0; i < path->alternatives->len; i++)
    if ((*ret_node = alternative_find(&path_alternative(path, i), from)))
      return &path_alternative(path, i);
  return NULL;
}

xmlNode *xml_path_node(const XmlPath *path, xmlNode *from) {
  xmlNode *node = NULL;
  existing(path, from, &node);
  return node;
}

gboolean xml_path_exists(const XmlPath *path, xmlNode *from) {
  return xml_path_node(path, from) != NULL;
}

const char *xml_path_text(const XmlPath *path, xmlNode *from, char **ret_owned) {
  xmlNode *node = NULL;
  const Alternative *alternative = existing(path, from, &node);
  if (!alternative)
    return NULL;
  return alternative->attribute ? xml_attribute(node, alternative->attribute) : xml_content(node, ret_owned);
}

char *xml_path_get(const XmlPath *path, xmlNode *from) {
  char *owned = NULL;
  const char *text = xml_path_text(path, from, &owned);
  return owned ? owned : g_strdup(text);
}

const char *xml_path_attribute(const XmlPath *path) {
  return path_alternative(path, 0).attribute;
}

const char *xml_path_name(const XmlPath *path) {
  return path->text;
}

const XmlPath *xml_path_fallback(const XmlPath *path) {
  return path->fallback;
}

/* Of a disk's sources: the one for block devices, or the one for files. What lies in
 * /dev is a device, but for the file systems that hosts mount there. */
static gboolean is_device_path(const char *text) {
  return text && g_str_has_prefix(text, "/dev/") && !g_str_has_prefix(text, "/dev/shm/") &&
         !g_str_has_prefix(text, "/dev/hugepages/");
}

static const Alternative *fitting(const XmlPath *path, const char *text) {
  gboolean device = is_device_path(text);
  for (guint i = 0; path->variants && i < path->alternatives->len; i++) {
    const Alternative *alternative = &path_alternative(path, i);
    if (device == (strcmp(g_array_index(alternative->leading, Predicate, 0).value, "block") == 0))
      return alternative;
  }
  return &path_alternative(path, 0);
}

/* libvirt's <vcpu current='2'>2</vcpu> is written <vcpu>2</vcpu>. */
static gboolean said_by_fallback(const XmlPath *path, xmlNode *from, const char *text) {
  if (!path->fallback || !xml_path_attribute(path))
    return FALSE;
  g_autofree char *other = xml_path_get(path->fallback, from);
  return g_strcmp0(other, text) == 0;
}

static void alternative_remove(const Alternative *alternative, xmlNode *from);

xmlNode *xml_path_set(const XmlPath *path, xmlNode *from, const char *text) {
  if (said_by_fallback(path, from, text)) {
    alternative_remove(&path_alternative(path, 0), from);
    return xml_path_node(path->fallback, from);
  }
  const Alternative *alternative = fitting(path, text);
  xmlNode *owner = owner_make(alternative, from);
  if (text && alternative->attribute)
    xml_set_attribute(owner, alternative->attribute, text);
  else if (text)
    xml_set_content(owner, text);
  for (guint i = 1; path->mirrored && i < path->alternatives->len; i++)
    alternative_remove(&path_alternative(path, i), from);
  return owner;
}

static void alternative_remove(const Alternative *alternative, xmlNode *from) {
  xmlNode *owner = alternative_find(alternative, from);
  if (!owner || (owner == from && !alternative->attribute))
    return;
  if (alternative->attribute) {
    xml_remove_attribute(owner, alternative->attribute);
    /* What was set on the same element to make the attribute count goes with it. */
    for (guint i = 0; owner == from && i < alternative->leading->len; i++)
      if (!g_array_index(alternative->leading, Predicate, i).child)
        xml_remove_attribute(owner, g_array_index(alternative->leading, Predicate, i).attribute);
    if (owner != from && xml_is_empty(owner))
      xml_remove_up_to(owner, from);
  } else {
    xml_remove_up_to(owner, from);
  }
}

void xml_path_remove(const XmlPath *path, xmlNode *from) {
  guint last = path->fallback ? 1 : path->alternatives->len; /* a fallback is another field's */
  for (guint i = 0; i < last; i++)
    alternative_remove(&path_alternative(path, i), from);
}

static xmlNode *parent_of_last(const Alternative *alternative, xmlNode *from, gboolean make) {
  for (guint i = 0; from && i + 1 < alternative->steps->len; i++)
    from = make ? step_make(&path_step(alternative, i), from) : step_find(&path_step(alternative, i), from);
  return from;
}

xmlNode *xml_path_next(const XmlPath *path, xmlNode *from, xmlNode *before) {
  const Alternative *alternative = &path_alternative(path, 0);
  g_return_val_if_fail(alternative->steps->len > 0, NULL);
  const Step *last = &path_step(alternative, alternative->steps->len - 1);
  if (before)
    return step_next(last, xml_next_sibling(before, last->name));
  xmlNode *parent = parent_of_last(alternative, from, FALSE);
  return parent ? step_find(last, parent) : NULL;
}

GPtrArray *xml_path_all(const XmlPath *path, xmlNode *from) {
  GPtrArray *all = g_ptr_array_new();
  for (xmlNode *element = NULL; (element = xml_path_next(path, from, element));)
    g_ptr_array_add(all, element);
  return all;
}

xmlNode *xml_path_append(const XmlPath *path, xmlNode *from) {
  const Alternative *alternative = &path_alternative(path, 0);
  g_return_val_if_fail(alternative->steps->len > 0, NULL);
  const Step *step = &path_step(alternative, alternative->steps->len - 1);
  xmlNode *parent = parent_of_last(alternative, from, TRUE), *after = NULL;
  for (xmlNode *each = xml_first_child(parent, step->name); each; each = xml_next_sibling(each, step->name))
    after = each;
  xmlNode *element = xml_add_child(parent, after, step->name);
  make_predicates_true(step->predicates, element);
  return element;
}
