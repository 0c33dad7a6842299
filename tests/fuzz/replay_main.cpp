// Replays a corpus through a fuzz target in builds without libFuzzer: every file of the given
// directories, whole and cut at every length. Fails if there is nothing to replay.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t cuts_max = 4096;

void replay(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> content{std::istreambuf_iterator<char>(file), {}};
    for (std::size_t size = 0; size <= std::min(content.size(), cuts_max); ++size) {
        // Memory of just that size, so that a sanitizer sees a read beyond it.
        const std::vector<std::uint8_t> cut(content.begin(),
                                            content.begin() + static_cast<std::ptrdiff_t>(size));
        LLVMFuzzerTestOneInput(cut.data(), cut.size());
    }
    const std::vector<std::uint8_t> whole(content.begin(), content.end());
    LLVMFuzzerTestOneInput(whole.data(), whole.size());
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t files = 0;
    for (int i = 1; i < argc; ++i) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
            if (entry.is_regular_file()) {
                replay(entry.path());
                ++files;
            }
        }
    }
    std::printf("%zu files replayed\n", files);
    return files == 0 ? 1 : 0;
}
