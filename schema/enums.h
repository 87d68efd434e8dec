/* The enumerations of schema/enums.def: <Enum>_<word> constants, the words in
 * YAML and in libvirt's XML. An enum's zero is its first word. */
#pragma once
#include "schema/field.h"

#define BEGIN(Enum) typedef enum {
#define WORD(Enum, id) Enum##_##id,
#define WORD_AS(Enum, id, yaml, xml) Enum##_##id,
#define END(Enum) Enum##_N } Enum; extern const EnumWords Enum##_words;
#include "schema/enums.def"
#undef BEGIN
#undef WORD
#undef WORD_AS
#undef END
