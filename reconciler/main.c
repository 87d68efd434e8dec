#include <stdio.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "reconciler/command/cli.h"
#include "reconciler/source/git/fetch.h"

/* Threads that nobody waits for, at a daemon that hangs say, may still be at work: what libraries take down at exit() would
 * go from under them. */
G_NORETURN static void leave(int status) {
#ifdef __SANITIZE_ADDRESS__
  __lsan_do_leak_check();
#endif
  fflush(NULL);
  _exit(status);
}

int main(int argc, char **argv) {
  if (git_fetch_is_asked(argv[0]))
    git_fetch_main();
  leave(cli_main(argc, argv));
}
