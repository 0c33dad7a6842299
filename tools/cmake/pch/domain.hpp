// Precompiled: the domain, for its own sources and for those that drive or store it.
#pragma once

#include "broker/domain/operations.hpp"
