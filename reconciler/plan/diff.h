/* The pure comparison of a desired spec with an actual one, by the rows. */
#pragma once
#include "reconciler/plan/plan.h"

typedef struct {
  const FieldTable *table;
  gconstpointer desired;    /* resolved */
  gconstpointer applied;    /* last applied; NULL: never */
  gconstpointer persistent; /* what is defined */
  gconstpointer live;       /* what runs; NULL: nothing does */
  gboolean has_numa;        /* a machine whose memory its NUMA cells make up */
  gconstpointer started;    /* what the running machine was started with (its record); NULL: unknown */
} DiffInput;

/* FieldChange *, in row order; empty when in line. */
GPtrArray *diff_spec(const DiffInput *input);
