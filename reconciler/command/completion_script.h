/* Scripts with which shells complete the command line, written out of its rows. */
#pragma once
#include "reconciler/command/cli.h"

void completion_bash(GString *out);
void completion_zsh(GString *out);

/* What stands for a value in --help ("FILE"), and what a shell can offer for it. */
typedef struct {
  const char *value;
  const char *words; /* apart by blanks; NULL: see files */
  enum { OFFER_NOTHING, OFFER_FILES, OFFER_DIRECTORIES } files;
  gboolean list;     /* several, by commas */
} Offer;
const Offer *completion_offer(const char *value); /* never NULL */
