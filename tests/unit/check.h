/* What the unit tests of schema/ share. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <glib.h>

/* Frees `text` after comparing it. */
#define assert_text(text, expected) \
  do { \
    g_autofree char *text_ = (text); \
    assert_string_equal(text_, expected); \
  } while (0)
