#include "app/cli.h"
#include "app/serve.h"

int main(int argc, char** argv) { return mirror::app::run_cli(argc, argv, mirror::app::serve); }
