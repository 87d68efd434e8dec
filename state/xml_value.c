#include "state/xml_value.h"
#include "schema/value.h"
#include "state/xml_tree.h"

#include <string.h>

/* What one unit of the written number is, and the unit attribute that says so. */
typedef struct {
  guint64 scale;
  const char *unit; /* NULL: none is written or read */
} Scale;

static Scale shape_scale(Shape shape) {
  switch (shape) {
  case SHAPE_KIB:
    return (Scale){1024, "KiB"};
  case SHAPE_MIB:
    return (Scale){1024 * 1024, "MiB"};
  case SHAPE_BYTES:
    return (Scale){1, "bytes"};
  case SHAPE_SECONDS:
    return (Scale){1000, NULL};
  default: /* bytes without a unit, milliseconds */
    return (Scale){1, NULL};
  }
}

static int xml_word_index(const EnumWords *words, const char *word) {
  for (int i = 0; words->words[i]; i++)
    if (g_strcmp0(words->xml[i], word) == 0)
      return i;
  return -1;
}

static gboolean in_bounds(const Field *field, guint64 number) {
  if (field->max <= 0 && field->min == field->max)
    return TRUE;
  if (field->type == VALUE_INT)
    return (gint64)number >= field->min && (gint64)number <= field->max;
  return number >= (guint64)MAX(field->min, 0) && number <= (guint64)MAX(field->max, 0);
}

static gboolean bool_from(const char *text, gboolean *ret_value) {
  gboolean yes = strcmp(text, "yes") == 0 || strcmp(text, "on") == 0;
  if (!yes && strcmp(text, "no") != 0 && strcmp(text, "off") != 0)
    return FALSE;
  *ret_value = yes;
  return TRUE;
}

static gboolean number_from(const Field *field, const char *text, const char *unit, guint64 *ret_number) {
  guint64 number;
  if (field->type == VALUE_INT) {
    gint64 integer;
    if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &integer, NULL))
      return FALSE;
    number = (guint64)integer;
  } else {
    Scale scale = shape_scale(field->shape);
    if (!xml_scaled(text, scale.unit ? unit : NULL, scale.scale, &number))
      return FALSE;
  }
  if (!in_bounds(field, number))
    return FALSE;
  *ret_number = number;
  return TRUE;
}

static gboolean from_text(const Field *field, xmlNode *element, const char *text, XmlValue *ret_value) {
  switch (field->type) {
  case VALUE_BOOL:
    return bool_from(text, &ret_value->boolean);
  case VALUE_ENUM:
    ret_value->word = xml_word_index(field->words, text);
    return ret_value->word >= 0;
  case VALUE_INT:
  case VALUE_BYTES:
  case VALUE_RATE:
  case VALUE_DURATION:
    return number_from(field, text, xml_attribute(element, "unit"), &ret_value->number);
  default:
    return value_parse(field, text, &ret_value->string, NULL);
  }
}

/* Addresses of devices of the host. libvirt writes them as 0x….; any C notation is read. */
static gboolean hex_attribute(xmlNode *element, const char *name, guint64 max, guint *ret_number) {
  const char *text = element ? xml_attribute(element, name) : NULL;
  char *end = NULL;
  guint64 number = text ? g_ascii_strtoull(text, &end, 0) : 0;
  if (!text || !*text || *end || number > max)
    return FALSE;
  *ret_number = (guint)number;
  return TRUE;
}

static gboolean read_pci(xmlNode *address, char **ret_text) {
  guint domain = 0, bus, slot, function;
  if (!hex_attribute(address, "bus", 0xff, &bus) || !hex_attribute(address, "slot", 0x1f, &slot) ||
      !hex_attribute(address, "function", 7, &function))
    return FALSE;
  if (xml_attribute(address, "domain") && !hex_attribute(address, "domain", 0xffff, &domain))
    return FALSE;
  *ret_text = g_strdup_printf("%04x:%02x:%02x.%x", domain, bus, slot, function);
  return TRUE;
}

static gboolean read_usb(xmlNode *source, char **ret_text) {
  guint vendor, product;
  if (!hex_attribute(xml_first_child(source, "vendor"), "id", 0xffff, &vendor) ||
      !hex_attribute(xml_first_child(source, "product"), "id", 0xffff, &product))
    return FALSE;
  *ret_text = g_strdup_printf("%04x:%04x", vendor, product);
  return TRUE;
}

/* A list of values: one element each. */
static char *item_text(const XmlPath *path, xmlNode *element) {
  char *owned = NULL;
  if (!xml_path_attribute(path)) {
    const char *text = xml_content(element, &owned);
    return owned ? owned : g_strdup(text);
  }
  return g_strdup(xml_attribute(element, xml_path_attribute(path)));
}

static gboolean read_strings(const Field *field, const XmlPath *path, xmlNode *base, char ***ret_strings) {
  xmlNode *element = xml_path_next(path, base, NULL);
  if (!element)
    return FALSE;
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  Field item = {.key = field->key, .type = field->item, .words = field->words};
  for (; element; element = xml_path_next(path, base, element)) {
    XmlValue value = {0};
    g_autofree char *text = item_text(path, element);
    if (!text || !from_text(&item, element, text, &value))
      return FALSE;
    g_autofree char *canonical = value_format(&item, &value);
    g_strv_builder_add(builder, canonical);
    value_clear(&item, &value);
  }
  *ret_strings = g_strv_builder_end(builder);
  return TRUE;
}

static gboolean read_absent(const Field *field, XmlValue *ret_value) {
  if (field->absent)
    return value_parse(field, field->absent, ret_value, NULL);
  if (field->type != VALUE_ENUM)
    return FALSE;
  ret_value->word = xml_word_index(field->words, NULL);
  return ret_value->word >= 0;
}

static gboolean read_value(const Field *field, xmlNode *base, XmlValue *ret_value) {
  const XmlPath *path = xml_path(field->xml);
  if (field->type == VALUE_STRINGS)
    return base && read_strings(field, path, base, &ret_value->strings);
  xmlNode *node = base ? xml_path_node(path, base) : NULL;
  if (!node)
    return read_absent(field, ret_value);
  if (field->type == VALUE_PCI)
    return read_pci(node, &ret_value->string);
  if (field->type == VALUE_USB)
    return read_usb(node, &ret_value->string);
  if (field->type == VALUE_BOOL && field->shape == SHAPE_PRESENT)
    return ret_value->boolean = TRUE;
  g_autofree char *owned = NULL;
  const char *text = xml_path_text(path, base, &owned);
  return from_text(field, node, text, ret_value);
}

gboolean xml_value_read(const Field *field, xmlNode *base, gpointer member) {
  XmlValue value = {0};
  if (!read_value(field, base, &value))
    return FALSE;
  switch (field->type) {
  case VALUE_BOOL:
    *(gboolean *)member = value.boolean;
    break;
  case VALUE_ENUM:
    *(int *)member = value.word;
    break;
  case VALUE_INT:
  case VALUE_BYTES:
  case VALUE_RATE:
  case VALUE_DURATION:
    *(guint64 *)member = value.number;
    break;
  default:
    *(gpointer *)member = value.string;
  }
  return TRUE;
}

/* Writing. */

static char *to_text(const Field *field, gconstpointer member) {
  switch (field->type) {
  case VALUE_BOOL: {
    gboolean on = *(const gboolean *)member;
    return g_strdup(field->shape == SHAPE_ON_OFF ? (on ? "on" : "off") : (on ? "yes" : "no"));
  }
  case VALUE_ENUM:
    return g_strdup(field->words->xml[*(const int *)member]);
  case VALUE_INT:
    return g_strdup_printf("%" G_GINT64_FORMAT, *(const gint64 *)member);
  case VALUE_BYTES:
  case VALUE_RATE:
  case VALUE_DURATION: {
    guint64 number = *(const guint64 *)member, scale = shape_scale(field->shape).scale;
    return g_strdup_printf("%" G_GUINT64_FORMAT, number / scale + (number % scale != 0)); /* as libvirt rounds */
  }
  default:
    return g_strdup(*(char *const *)member);
  }
}

static void set_hex(xmlNode *element, const char *name, const char *digits, int n_digits) {
  g_autofree char *number = g_strdup_printf("0x%.*s", n_digits, digits);
  xml_set_attribute(element, name, number);
}

/* "0000:03:00.0" and "1d6b:0002": of these forms since they were parsed. */
static void write_address(const Field *field, xmlNode *base, const char *text) {
  xmlNode *element = xml_path_set(xml_path(field->xml), base, NULL);
  if (field->type == VALUE_PCI) {
    set_hex(element, "domain", text, 4);
    set_hex(element, "bus", text + 5, 2);
    set_hex(element, "slot", text + 8, 2);
    set_hex(element, "function", text + 11, 1);
    return;
  }
  set_hex(xml_path_set(xml_path("vendor"), element, NULL), "id", text, 4);
  set_hex(xml_path_set(xml_path("product"), element, NULL), "id", text + 5, 4);
}

/* Elements that are there are used again, with what else they hold. */
static void write_strings(const Field *field, xmlNode *base, char *const *strings) {
  const XmlPath *path = xml_path(field->xml);
  g_autoptr(GPtrArray) elements = xml_path_all(path, base);
  guint n = 0;
  for (; strings && strings[n]; n++) {
    xmlNode *element = n < elements->len ? elements->pdata[n] : xml_path_append(path, base);
    int word = field->item == VALUE_ENUM ? enum_find(field->words->words, strings[n]) : -1;
    const char *text = word >= 0 ? field->words->xml[word] : strings[n];
    if (xml_path_attribute(path))
      xml_set_attribute(element, xml_path_attribute(path), text);
    else
      xml_set_content(element, text);
  }
  for (guint i = n; i < elements->len; i++)
    xml_remove_up_to(elements->pdata[i], base);
}

static const char *unit_of(const Field *field) {
  return field->type == VALUE_BYTES ? shape_scale(field->shape).unit : NULL;
}

static void write_text(const Field *field, xmlNode *base, const char *text) {
  const XmlPath *path = xml_path(field->xml);
  xmlNode *element = xml_path_set(path, base, text);
  const char *unit = unit_of(field);
  /* An attribute has a unit only where libvirt gives it one, as <page size= unit=>. */
  if (unit && (!xml_path_attribute(path) || xml_attribute(element, "unit")))
    xml_set_attribute(element, "unit", unit);
}

gboolean xml_value_remove(const Field *field, xmlNode *base) {
  const XmlPath *path = xml_path(field->xml);
  if (field->type == VALUE_STRINGS) {
    static char *none[] = {NULL};
    g_autoptr(GPtrArray) elements = xml_path_all(path, base);
    write_strings(field, base, none);
    return elements->len > 0;
  }
  xmlNode *node = xml_path_node(path, base);
  if (node && unit_of(field) && xml_path_attribute(path))
    xml_remove_attribute(node, "unit");
  xml_path_remove(path, base);
  return node != NULL;
}

gboolean xml_value_write(const Field *field, xmlNode *base, gconstpointer member) {
  if (field->type == VALUE_STRINGS) {
    write_strings(field, base, *(char **const *)member);
    return TRUE;
  }
  if (field->type == VALUE_PCI || field->type == VALUE_USB) {
    write_address(field, base, *(char *const *)member);
    return TRUE;
  }
  if (field->type == VALUE_BOOL && field->shape == SHAPE_PRESENT) {
    if (!*(const gboolean *)member)
      return xml_value_remove(field, base);
    xml_path_set(xml_path(field->xml), base, NULL);
    return TRUE;
  }
  g_autofree char *text = to_text(field, member);
  if (!text) /* a word that absence means */
    return xml_value_remove(field, base);
  write_text(field, base, text);
  return TRUE;
}
