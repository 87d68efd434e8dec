/* `reconcile serve`: see service.h for how it is built. */
#pragma once
#include "reconciler/run/config.h"

/* Runs until it is told to stop; returns the exit status. `once`: reads the source and makes one pass.
 * Takes the configuration; file: where it is read anew from on SIGHUP. */
int serve(Config *config, gboolean once);
