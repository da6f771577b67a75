// libx265, which makes the tests' HEVC feeds, does not free all that it allocates: not our leaks.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libx265\n"; }
