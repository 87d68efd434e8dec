/* One value in XML: between the notation of libvirt and a spec's member, by the row. */
#pragma once
#include "schema/field.h"
#include "state/xml_path.h"

/* Room for a value of any leaf type; cleared with value_clear. */
typedef union {
  gboolean boolean;
  int word;
  guint64 number;
  char *string;
  char **strings;
} XmlValue;

/* Reads the value below `base` (NULL: nothing is there) into a zeroed member. FALSE: not
 * there and without a meaning of absence, or nothing that the row can express. */
gboolean xml_value_read(const Field *field, xmlNode *base, gpointer member);
/* Sets it; returns whether the tree changed. */
gboolean xml_value_write(const Field *field, xmlNode *base, gconstpointer member);

/* Takes it out, back to what absence means; returns whether it was there. */
gboolean xml_value_remove(const Field *field, xmlNode *base);

/* A number with libvirt's units: "KiB", "k", "MB", …; unit NULL or "": default_scale. */
gboolean xml_scaled(const char *number, const char *unit, guint64 default_scale, guint64 *ret_bytes);
