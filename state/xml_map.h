/* Specs from XML and into it, driven by the rows. XML is patched, never rebuilt:
 * only the nodes of managed fields change, everything else stays byte for byte. */
#pragma once
#include "schema/document.h"
#include "state/xml_path.h"

/* Fills all fields of `spec` (a zeroed struct of the table) that the XML shows. Values that
 * the row can't express (an unknown word, say) stay not given. Lists: every item whose match
 * field is readable; an interface's name (not in XML) is left not given. */
void xml_map_read(const FieldTable *table, xmlNode *root, gpointer spec);

/* Brings the XML in line with `desired`: given fields are set where they differ, fields that
 * `applied` (last applied; may be NULL) gave and `desired` doesn't go back to libvirt's default
 * (node removed) unless the row says unmanage; list items likewise: in neither → untouched.
 * Returns whether anything changed. */
gboolean xml_map_patch(const FieldTable *table, xmlNode *root, gconstpointer desired, gconstpointer applied);

/* The same, and `created` is told of each list item and device group whose element was made
 * (after its fields were set), to complete it. */
typedef void (*XmlCreated)(const Field *row, xmlNode *element, gconstpointer spec);
gboolean xml_map_patch_with(const FieldTable *table, xmlNode *root, gconstpointer desired, gconstpointer applied,
                            XmlCreated created);

/* The XML element of one list item or device group (row with .device) in `root` (a domain):
 * `match` is the item's match value, NULL for a group. NULL when it isn't there. */
xmlNode *xml_map_find_device(const Field *row, xmlNode *root, const char *match);
