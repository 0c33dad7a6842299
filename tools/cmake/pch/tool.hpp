// Precompiled: the public headers of the client and what the tools are written with.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "brokerd/admin.hpp"
#include "brokerd/async_client.hpp"
#include "brokerd/client.hpp"
