# build.sh: makes what a command of the tests needs; read in by such commands.

# build FOLDER TYPE TARGET... : an up-to-date build there, quietly; what the compiler says is told
# when it fails.
build() {
    build_folder=$1 build_type=$2
    shift 2
    mkdir -p "$build_folder"
    if [ ! -f "$build_folder/build.ninja" ]; then
        meson setup "$build_folder" --buildtype="$build_type" >"$build_folder/setup.log" 2>&1 || {
            cat "$build_folder/setup.log" >&2
            return 1
        }
    fi
    ninja -C "$build_folder" "$@" >"$build_folder/build.log" 2>&1 || {
        grep -v '^\[' "$build_folder/build.log" | tail -40 >&2
        return 1
    }
}

# asks_for_help ARGUMENT... : nothing has to be built for that.
asks_for_help() {
    for asked in "$@"; do
        case $asked in -h | --help) return 0 ;; esac
    done
    return 1
}
