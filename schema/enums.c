#include "schema/enums.h"

#define BEGIN(Enum) static const char *const Enum##_yaml[] = {
#define WORD(Enum, id) #id,
#define WORD_AS(Enum, id, yaml, xml) yaml,
#define END(Enum) NULL};
#include "schema/enums.def"
#undef BEGIN
#undef WORD
#undef WORD_AS
#undef END

#define BEGIN(Enum) static const char *const Enum##_xml[] = {
#define WORD(Enum, id) #id,
#define WORD_AS(Enum, id, yaml, xml) xml,
#define END(Enum) NULL};
#include "schema/enums.def"
#undef BEGIN
#undef WORD
#undef WORD_AS
#undef END

#define BEGIN(Enum)
#define WORD(Enum, id)
#define WORD_AS(Enum, id, yaml, xml)
#define END(Enum) const EnumWords Enum##_words = {#Enum, Enum##_yaml, Enum##_xml};
#include "schema/enums.def"
