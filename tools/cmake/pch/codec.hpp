// Precompiled: the messages of the protocol.
#pragma once

#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/messages.hpp"
