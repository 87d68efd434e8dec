/* Objects: the kinds, an object of a kind, and the set of objects that a source
 * declares (the desired state). */
#pragma once
#include "schema/diag.h"
#include "schema/node.h"
#include "schema/spec.h"

#define API_VERSION "reconcile/v1"

typedef enum {
  KIND_HOST,         /* in the order in which they are created */
  KIND_STORAGE_POOL,
  KIND_NETWORK,
  KIND_IMAGE,
  KIND_VOLUME,
  KIND_PROFILE,
  KIND_VIRTUAL_MACHINE,
  KIND_N
} Kind;

typedef struct {
  const char *name; /* "VirtualMachine" */
  const char *word; /* "vm": for people and ids: vm/web-1 */
  const FieldTable *spec;
  const char *help;
} KindInfo;
extern const KindInfo kinds[KIND_N];

typedef struct {
  gint refs;
  Kind kind;
  MetadataSpec metadata;
  gpointer spec; /* of kinds[kind].spec */
  Place at;      /* of the document */
  Node *node;    /* the document, so that rules can point at fields; NULL after desired_finish */
} Object;

Object *object_new(Kind kind, const char *name);
Object *object_copy(const Object *object);
/* One more owner: a desired state and the plans made from it share what was declared. */
Object *object_ref(const Object *object);
void object_free(Object *object); /* by the last owner */
char *object_id(Kind kind, const char *name); /* "vm/web-1" */
static inline VmSpec *object_vm(const Object *object) { return object->spec; }
guint64 numa_memory(const NumaSpec *numa); /* bytes of all its cells; 0: none are given */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Object, object_free)

/* The desired state: objects ordered by kind, then name; no two of one kind and name. */
typedef struct {
  GPtrArray *objects;  /* of Object *, owned */
  GHashTable *by_id;   /* object_id → Object * */
  GHashTable *broken;  /* object_id → Place * of declared objects that have errors and were left out */
  gboolean rewritten;  /* its revision doesn't follow from the one applied last: nothing is deleted for it */
} Desired;
Desired *desired_new(void);
void desired_free(Desired *desired);
const Object *desired_find(const Desired *desired, Kind kind, const char *name); /* NULL when not declared */
/* Whether both declare the same, at the same places of the same files. */
gboolean desired_equal(const Desired *a, const Desired *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Desired, desired_free)

/* Decodes one file's documents into `desired` (envelope, metadata, spec); an object with
 * errors is diagnosed and left out. Relative paths count from the folder of `file`.
 * Objects declared twice are diagnosed with both places. Doesn't validate. */
void desired_decode(Desired *desired, const char *file, const char *data, gsize length, Diagnostics *diagnostics);
/* The same for text that isn't a file of this host: relative paths in it are diagnosed. */
void desired_decode_text(Desired *desired, const char *name, const char *data, gsize length, Diagnostics *diagnostics);

/* After all files: sorts, applies profiles (spec_merge), then checks each object and the
 * set: rules across fields and objects (references to images, profiles, pools declared here;
 * two VMs with one MAC or UUID; cpu.count <= cpu.max; topology product; one source per disk;
 * size without pool …), and derives the MACs that aren't given. No hypervisor is asked. */
void desired_finish(Desired *desired, Diagnostics *diagnostics);

/* One struct from a mapping node (decode.c); unknown keys, wrong types and duplicates diagnosed. */
void decode_spec(const FieldTable *table, const Node *node, const char *base_dir, gpointer spec, Diagnostics *diagnostics);

/* Canonical JSON of a spec: given fields only, in row order, canonical values; what
 * decode_spec accepts. For metadata, plans and comparison. Compact, one line. */
char *spec_to_json(const FieldTable *table, gconstpointer spec);
/* Reads what spec_to_json wrote. `what` names it in errors. Unknown keys are ignored
 * (a newer version may have written them). */
gpointer spec_from_json(const FieldTable *table, const char *json, const char *what, GError **error);
/* YAML of whole documents, for import: comments before a document may be NULL. */
void object_to_yaml(const Object *object, const char *comment, GString *out);
/* The name that the declared hosts give their fleet; NULL: none. Of a finished desired state. */
const char *desired_fleet(const Desired *desired);

/* A UUID (version 5 in reconcile's namespace) and a MAC that never change. Those of machines follow from their fleet's name too, where
 * it has one. The MAC is locally administered, 52: and 40 bits: with the 24 bits behind QEMU's 52:54:00 two of 5,000 machines
 * would have one MAC as likely as not. */
char *derive_uuid(const char *kind_word, const char *name);
char *derive_vm_uuid(const char *fleet /* may be NULL */, const char *vm);
char *derive_mac(const char *fleet /* may be NULL */, const char *vm, const char *interface);
