/* Whether a text is one XML element: closed, quoted, with known entities only. */
#pragma once
#include <glib.h>

/* Comments, DTDs, CDATA and processing instructions don't count as such. state/ parses it for
 * good; this finds mistakes where they are made, without a hypervisor. */
gboolean is_xml_element(const char *text);
