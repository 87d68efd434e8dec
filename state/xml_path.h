/* Where a field lives in XML, in the notation of the rows.
 *
 *   PATH        = ALTERNATIVE [" ?? " ALTERNATIVE] … | ALTERNATIVE " | " ALTERNATIVE
 *   ALTERNATIVE = PREDICATE… ["/" STEPS] | STEPS
 *   STEPS       = STEP ["/" STEP] … ["/@" NAME] | "@" NAME
 *   STEP        = NAME ["!"] [PREDICATE…]
 *   PREDICATE   = "[@name='value']" | "[child/@name='value']"
 *
 * A step selects the first element of its name for which its predicates hold; writing
 * makes one where there is none. "NAME!": there is only one element of the name: where
 * its predicates don't hold it belonged to another variant, and writing replaces it.
 * "A ?? B": read from the first that exists; written to A, or left out of A where A is an
 * attribute and B says the same (of alternatives with leading predicates: written to the
 * one that fits the value, a device path to the one with type block). "A | B": the same
 * value twice in XML; read from the first that exists, written to A, and B is removed.
 * A leading predicate is about the element that the path counts from: it must hold for
 * reading; writing makes it hold (and drops the first step's element when it did not,
 * since that belonged to another variant).
 * Paths are compiled once and cached by their text (thread-safe, without a lock once known). */
#pragma once
#include "state/xml.h"

typedef struct XmlPath XmlPath;
const XmlPath *xml_path(const char *text); /* aborts on a malformed row: a programmer's error */

/* The text at the path, to be freed; NULL when absent. For elements their content. */
char *xml_path_get(const XmlPath *path, xmlNode *from);
gboolean xml_path_exists(const XmlPath *path, xmlNode *from);
xmlNode *xml_path_node(const XmlPath *path, xmlNode *from); /* element (for @name its owner); NULL when absent */
/* Makes what is missing, sets the text (NULL: only the element). Returns the element. */
xmlNode *xml_path_set(const XmlPath *path, xmlNode *from, const char *text);
/* Removes the attribute or element, and elements above it that became empty (up to `from`). */
void xml_path_remove(const XmlPath *path, xmlNode *from);
/* The elements that the path's last step matches, in document order: the first (before is NULL), or the one after it. */
xmlNode *xml_path_next(const XmlPath *path, xmlNode *from, xmlNode *before);
/* All of them, where they are changed meanwhile: xmlNode *. */
GPtrArray *xml_path_all(const XmlPath *path, xmlNode *from);
/* A new element for a list's path, predicates made true, after the last of its kind. */
xmlNode *xml_path_append(const XmlPath *path, xmlNode *from);

/* For the readers and writers of values. */
const char *xml_path_attribute(const XmlPath *path); /* its name; NULL: the path ends at an element */
/* "A ?? B" of one value with a default: the path of B; NULL for all others. */
const XmlPath *xml_path_fallback(const XmlPath *path);
/* As xml_path_get, but borrowed from the tree where it holds the text in one piece;
 * otherwise *ret_owned is the same text, to be freed. */
const char *xml_path_text(const XmlPath *path, xmlNode *from, char **ret_owned);
const char *xml_path_name(const XmlPath *path); /* as the row writes it */
