/* A declaration made concrete for one host: what the file leaves to the host or to us is
 * filled in (type, UUID, disk paths and formats, raised maxima). Pure. */
#pragma once
#include "reconciler/plan/locate.h"

typedef enum { SOURCE_KEPT, SOURCE_IMAGE, SOURCE_BLANK, SOURCE_EXISTING, SOURCE_MEDIUM, SOURCE_EMPTY } SourceKind;

/* Where one disk's content comes from. */
typedef struct {
  SourceKind kind;
  gboolean unresolved;      /* it can't be told: the disk is as the file says */
  const DiskSpec *disk;     /* of the resolved spec */
  char *pool, *volume;      /* SOURCE_IMAGE and SOURCE_BLANK: the volume to make or to find */
  char *base_path, *base_format, *image; /* SOURCE_IMAGE, SOURCE_MEDIUM: an image that a drive reads itself */
  guint64 base_bytes;       /* SOURCE_IMAGE: virtual size of the base */
  const Object *image_object; /* both */
  gboolean has_format;        /* SOURCE_KEPT: the file says which format the disk shall have … */
  gboolean convert;           /* … and it has another, … */
  Format convert_from, convert_to; /* … which the definition may only say once the content has it */
} DiskSource;

typedef struct {
  Object *desired;
  GPtrArray *sources; /* of DiskSource *, one per disk */
  char *error;        /* what can't be had, and what to do, of the first disk that is unresolved */
} Resolved;
void resolved_free(Resolved *resolved);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Resolved, resolved_free)

/* existing: NULL when the domain is to be created. */
Resolved *resolve_vm(const PlanInput *input, const Object *declared, const ActualDomain *existing);
