/* Our record in an object's <metadata>, for domains and networks alike: private to state/. */
#pragma once
#include "state/domain_xml.h"

/* Where a record's parts are, in the struct of its kind. */
typedef struct {
  const char *element; /* "vm" */
  const FieldTable *table;
  char **source, **revision, **place;
  MetadataSpec *metadata;
  gpointer spec;
  FactsSpec *facts; /* NULL: the kind has none */
} Record;

void record_clear(const Record *record);
/* Fills a zeroed record. FALSE without error: there is none. */
gboolean record_read(xmlNode *object, const Record *record, GError **error);
void record_write(xmlNode *object, const Record *record);
char *record_text(const Record *record);
