/* The process that talks to the network: this program again, under another name. A server that
 * hangs, or one that makes a library crash, costs that process and nothing else; it ends with the
 * one that started it. The order comes as JSON on its standard input (a token isn't in it, only the
 * name of its file); on its standard output, dots are signs of life, and the end is a JSON object. */
#pragma once
#include "reconciler/source/git_source.h"

gboolean git_fetch_is_asked(const char *program_name); /* argv[0] */
_Noreturn void git_fetch_main(void);                   /* that process */
