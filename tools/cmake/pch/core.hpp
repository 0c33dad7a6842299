// Precompiled: the inside of the client, for its own sources and their tests.
#pragma once

#include "client/src/core.hpp"
