/* "This QEMU has pulled into the disk what lay beneath it": a note in the live metadata of a machine, which ends with its QEMU
 * (reconciler/act/layer_pulled.h). Each disk has one of its own. */
#pragma once
#include "state/domain_xml.h"

#define PULLED_NAMESPACE METADATA_NAMESPACE "/pulled/"
#define PULLED_PREFIX METADATA_PREFIX "-pulled"

char *pulled_namespace(const char *target); /* free it */
