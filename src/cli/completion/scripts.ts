import path from 'node:path';
import { shellWords } from '../../support/format.js';
import { packageRoot } from '../../support/package.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The word after `fcn` with which the scripts ask for candidates (bin/run.js). */
const ASK = '__complete';

/**
 * The script that makes a shell complete `fcn`. It asks `fcn` on the path or, if there is none (an alias), this copy of the package;
 * `complete.ts` answers.
 */
export function completionScript(shell: Shell): string {
  const own = shellWords([process.execPath, path.join(packageRoot(), 'bin', 'run.js'), ASK]);
  return { bash, zsh, fish }[shell](own);
}

// Bash breaks words at = and : too, and replaces only what follows the last of them.
const bash = (own: string) => `# Completion of fcn for bash. Once: source <(fcn completion bash)
_fcn_ask() {
  if type -P fcn > /dev/null; then command fcn ${ASK} "$@"; else ${own} "$@"; fi 2> /dev/null
}

_fcn() {
  local rest=\${COMP_LINE:0:COMP_POINT} words=() own current line files='' i
  for ((i = 0; i < COMP_CWORD; i++)); do
    if ((i == 0)) || [[ $rest == [[:space:]]* ]]; then words+=("\${COMP_WORDS[i]}")
    else words[\${#words[@]} - 1]+=\${COMP_WORDS[i]}; fi
    rest=\${rest#"\${rest%%[![:space:]]*}"}
    rest=\${rest#"\${COMP_WORDS[i]}"}
  done
  own=\${rest#"\${rest%%[![:space:]]*}"}
  if [[ -z $rest || $rest == [[:space:]]* ]]; then words+=("$own")
  else words[\${#words[@]} - 1]+=$own; fi
  current=\${words[\${#words[@]} - 1]}
  if [[ $own == [:=] ]]; then own=''; fi
  # An open quote; blanks after backslashes.
  if [[ $current == [\\'\\"]* ]]; then own=\${own:1} current=\${current:1}; fi
  own=\${own//\\\\/} current=\${current//\\\\/}
  words[\${#words[@]} - 1]=$current
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ -z $files ]]; then files=$line; continue; fi
    line=\${line%%$'\\t'*}
    if [[ $line == "$current"* ]]; then COMPREPLY+=("\${line#"\${current%"$own"}"}"); fi
  done < <(_fcn_ask "\${words[@]:1}")
  if [[ $files == - ]]; then return; fi
  compopt -o filenames 2> /dev/null
  if [[ $current == --*=* ]]; then current=\${current#*=}; fi
  while IFS= read -r line; do COMPREPLY+=("\${line#"\${current%"$own"}"}"); done < <(
    case $files in
      files) compgen -f -- "$current" ;;
      'files '*) compgen -f -X "!*\${files#files }" -- "$current"; compgen -d -- "$current" ;;
      folders) compgen -d -- "$current" ;;
    esac
  )
}

complete -F _fcn fcn
`;

const zsh = (own: string) => `#compdef fcn
# Completion of fcn for zsh. Once, after compinit: source <(fcn completion zsh)
_fcn_ask() {
  if whence -p fcn > /dev/null; then command fcn ${ASK} "$@"; else ${own} "$@"; fi 2> /dev/null
}

_fcn() {
  local files line
  local -a answer candidates
  answer=("\${(@f)$(_fcn_ask "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}")}")
  files=$answer[1]
  # _describe takes a colon for the end of the value.
  for line in "\${(@)answer[2,-1]}"; do
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  local found=1
  if (( $#candidates )) && _describe -t values value candidates; then found=0; fi
  if [[ $files != - && $PREFIX == --*=* ]]; then compset -P '*='; fi
  case $files in
    files) _files && found=0 ;;
    'files '*) _files -g "*\${files#files }" && found=0 ;;
    folders) _files -/ && found=0 ;;
  esac
  return found
}

if [[ $funcstack[1] == _fcn ]]; then _fcn "$@"; else compdef _fcn fcn; fi
`;

const fish = (own: string) => `# Completion of fcn for fish: fcn completion fish > ~/.config/fish/completions/fcn.fish
function __fcn_ask
    if command -sq fcn
        command fcn ${ASK} $argv 2> /dev/null
    else
        ${own} $argv 2> /dev/null
    end
end

function __fcn_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    # An open quote; blanks after backslashes.
    set current (string unescape -- (string replace -r -- '^["\\']' '' $current))
    if test -z "$current"
        set current ''
    end
    set -l answer (__fcn_ask $words[2..-1] $current)
    printf '%s\\n' $answer[2..-1]
    set -l flag (string match -r -- '^--[^=]*=' $current)
    set -l value (string replace -r -- '^--[^=]*=' '' $current)
    switch "$answer[1]"
        case 'files*'
            for file in (__fish_complete_path "$value")
                echo "$flag$file"
            end
        case folders
            for folder in (__fish_complete_directories "$value" '')
                echo "$flag$folder"
            end
    end
end

complete -c fcn -f -a '(__fcn_complete)'
`;
