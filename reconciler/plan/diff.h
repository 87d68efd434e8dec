/* The pure comparison of a desired spec with an actual one, by the rows. */
#pragma once
#include "reconciler/plan/plan.h"
#include "state/actual.h"

typedef struct {
  const FieldTable *table;
  gconstpointer desired;    /* resolved */
  gconstpointer applied;    /* last applied; NULL: never */
  gconstpointer persistent; /* what is defined */
  gconstpointer live;       /* what runs; NULL: nothing does */
  gboolean has_numa;        /* a machine whose memory its NUMA cells make up */
  gconstpointer started;    /* what the running machine was started with (its record); NULL: unknown */
  BalloonNote balloon;      /* what the balloon of the running machine was told */
  gconstpointer leaving;    /* devices that left before and are still in it (state/leaving.h); NULL: none */
} DiffInput;

/* Of a machine as it was found. */
DiffInput diff_input(gconstpointer desired, gconstpointer applied, const ActualDomain *found);

/* FieldChange *, in row order; empty when in line. */
GPtrArray *diff_spec(const DiffInput *input);
