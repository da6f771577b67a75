#include "app/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

#include "app/devices.h"
#include "app/version.h"

namespace mirror::app {
namespace {

void say(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void complain(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

std::optional<Config> load_or_complain(const std::optional<std::string>& file) {
  auto config = load(file, Surroundings::of_process());
  if (config) return std::move(*config);
  for (const Fault& fault : config.error()) complain(fault.text() + '\n');
  return std::nullopt;
}

}  // namespace

int run_cli(int argc, const char* const* argv, const std::function<int(const Config&)>& serve) {
  CLI::App app("Mirror: contribution feeds in, low-latency live pictures out.", "mirror");
  app.set_version_flag("-V,--version", version_text);
  app.set_help_flag("-h,--help", "Print this and exit");
  app.require_subcommand(1);

  std::optional<std::string> file;
  int code = 0;
  bool json = false;
  const auto command = [&](const char* name, const char* help, const auto& run) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->add_option("-c,--config", file, "The configuration file (YAML); defaults without")
        ->type_name("FILE");
    sub->callback([&file, &code, run] {
      const auto config = load_or_complain(file);
      code = config ? run(*config) : kExitWrongInput;
    });
    return sub;
  };
  command("serve", "Run the server", serve);
  command("check", "Say whether the configuration is right, and every fault it has",
          [](const Config&) {
            say("ok\n");
            return 0;
          });
  command("config", "Print the configuration that holds, file and environment included",
          [](const Config& config) {
            say(render(config));
            return 0;
          });
  command("devices", "Try the GPUs, and say what works, and why the rest does not",
          [&json](const Config& config) {
            say(render_devices(transcode::discover_devices(), pool_settings(config),
                               json ? DevicesForm::kJson : DevicesForm::kTable));
            return 0;
          })
      ->add_flag("--json", json, "For programs");
  app.footer(
      "Signals to mirror serve: SIGTERM and SIGINT end it within 10 s, after the last segments;\n"
      "SIGHUP loads the certificate and its key anew, for connections that begin afterwards.\n"
      "A variable of the environment overrides its key: MIRROR_SRT_PORT for srt.port.\n"
      "Exit codes: 0 done, 1 the server failed, 2 a wrong option or configuration.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help or version
    complain(fmt::format("mirror: {}\nTry mirror --help.\n", error.what()));
    return kExitWrongInput;
  }
  return code;
}

}  // namespace mirror::app
