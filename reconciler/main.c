#include "reconciler/command/cli.h"
#include "reconciler/source/git/fetch.h"

int main(int argc, char **argv) {
  if (git_fetch_is_asked(argv[0]))
    git_fetch_main();
  return cli_main(argc, argv);
}
