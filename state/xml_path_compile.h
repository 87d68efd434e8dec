/* A path as it is compiled: private to xml_path_compile.c and xml_path.c. */
#pragma once
#include "state/xml_path.h"

typedef struct {
  char *child; /* the attribute is of the first child of this name; NULL: of the element itself */
  char *attribute, *value;
} Predicate;

typedef struct {
  char *name;
  gboolean single;    /* NAME!: no two of the name */
  GArray *predicates; /* of Predicate */
} Step;

typedef struct {
  GArray *leading; /* of Predicate, about the element that the path counts from */
  GArray *steps;   /* of Step; may be empty */
  char *attribute; /* of the last step's element; NULL: its content */
} Alternative;

struct XmlPath {
  char *text;
  GArray *alternatives;    /* of Alternative, at least one */
  gboolean mirrored;       /* "A | B" */
  gboolean variants;       /* "A ?? B" with leading predicates */
  const XmlPath *fallback; /* "A ?? B" without */
};

#define path_alternative(path, i) g_array_index((path)->alternatives, Alternative, i)
#define path_step(alternative, i) g_array_index((alternative)->steps, Step, i)
