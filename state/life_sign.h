/* Whether what this process asked hypervisors for comes forward. A daemon can live, and answer keepalive, while one of
 * its calls never ends: a machine's QEMU hangs, or storage does that is gone. Whoever asks gives signs of life here
 * as its answers come, and one thread watches them (run/silence.h). Of the whole process, as it makes one run at a time. */
#pragma once
#include <glib.h>

/* From TRUE to FALSE signs are to be expected. May be nested, from any thread. */
void life_expected(gboolean on);
void life_sign(void);
/* From TRUE to FALSE a call is waited for that may take as long as it likes; and one such call. */
void life_long_call(gboolean on);
#define LIFE_LONG(call)            \
  ({                               \
    life_long_call(TRUE);          \
    __auto_type answer = (call);   \
    life_long_call(FALSE);         \
    answer;                        \
  })
/* Since the last sign, in microseconds; 0: none is expected now. */
gint64 life_silence(void);
