/* What a new device needs that its rows don't say, decided here and nowhere else.
 * Elements that were there before aren't touched: what libvirt or a person chose stays. */
#pragma once
#include "state/domain_xml.h"

/* An XmlCreated: `spec` is the item or group of the row. */
void device_complete(const Field *row, xmlNode *element, gconstpointer spec);
