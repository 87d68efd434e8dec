/* The tables behind schema/spec.h. */
#include "schema/spec.h"

#define KIB (G_GINT64_CONSTANT(1) << 10)
#define MIB (G_GINT64_CONSTANT(1) << 20)
#define GIB (G_GINT64_CONSTANT(1) << 30)
#define TIB (G_GINT64_CONSTANT(1) << 40)
#define SECOND G_GINT64_CONSTANT(1000)
#define WORDS(Enum) .words = &Enum##_words

#define SPEC_STRING_(text) #text
#define SPEC_STRING(text) SPEC_STRING_(text)

#define BEGIN(help_text) static const Field SPEC_CAT(SPEC, _fields)[] = {
#define FIELD(TYPE, member, ...) \
  { .key = #member, .type = VALUE_##TYPE, .offset = offsetof(SPEC, member), __VA_ARGS__ },
#define GROUP(Sub, member, ...) \
  { .key = #member, .type = VALUE_GROUP, .offset = offsetof(SPEC, member), .sub = &Sub##_table, __VA_ARGS__ },
#define LIST(Sub, member, ...) \
  { .key = #member, .type = VALUE_LIST, .offset = offsetof(SPEC, member), .sub = &Sub##_table, __VA_ARGS__ },
#define END };
#include "schema/fields/all.def"
#undef BEGIN
#undef FIELD
#undef GROUP
#undef LIST
#undef END

#define BEGIN(help_text) \
  const FieldTable SPEC_CAT(SPEC, _table) = { \
    .name = SPEC_STRING(SPEC), .size = sizeof(SPEC), .fields = SPEC_CAT(SPEC, _fields), \
    .n_fields = SPEC_CAT(SPEC, _N), .help = help_text }; \
  G_STATIC_ASSERT(SPEC_CAT(SPEC, _N) <= 64 && offsetof(SPEC, given) == 0);
#define FIELD(TYPE, member, ...)
#define GROUP(Sub, member, ...)
#define LIST(Sub, member, ...)
#define END
#include "schema/fields/all.def"
