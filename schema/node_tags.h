/* What a YAML tag, such as !!str, makes of a node. Those that YAML itself doesn't have are refused. */
#pragma once
#include "schema/node.h"

ScalarType node_tag_scalar(const char *tag, const char *text, Place at, Diagnostics *diagnostics);
void node_tag_check(const char *tag, NodeKind kind /* NODE_MAPPING or NODE_SEQUENCE */, Place at, Diagnostics *diagnostics);
