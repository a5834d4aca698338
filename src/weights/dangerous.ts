/**
 * Names in a pickle that no checkpoint needs and an attack does: what runs programs or code, reaches files or networks, imports, or
 * reads other pickles. Nothing in a file is ever run here, whatever it names. But a file that names one of these was made to harm
 * whoever opens it with Python, and is refused as a whole.
 *
 * Unlike a list of what is allowed, this list need not be complete to be safe.
 */

const list = (names: string) => new Set(names.trim().split(/\s+/));

/** What is wrong with a name, as a clause. */
const KINDS = {
  system: 'reaches the operating system',
  programs: 'runs programs',
  code: 'loads or runs code',
  pickles: 'reads other pickles',
  files: 'reaches files',
  networks: 'reaches networks',
  python: 'reaches into Python itself',
} as const;
type Kind = keyof typeof KINDS;

function byName(names: Readonly<Partial<Record<Kind, string>>>): ReadonlyMap<string, Kind> {
  return new Map(
    Object.entries(names).flatMap(([kind, text]) => [...list(text)].map((name) => [name, kind as Kind] as const)),
  );
}

/** Modules and packages that are refused with everything in them, by the first part of a name. */
const PACKAGES = byName({
  system: `
    os posix nt posixpath ntpath genericpath _osx_support _aix_support getpass spwd nis _overlapped
    msvcrt winreg _winreg win32api win32com winsound
  `,
  programs: `
    subprocess _posixsubprocess _winapi commands popen2 pty tty multiprocessing concurrent pexpect ptyprocess plumbum invoke sh
    sarge delegator psutil git dulwich docker
  `,
  code: `
    importlib _imp imp _frozen_importlib _frozen_importlib_external zipimport runpy pkgutil pkg_resources ctypes _ctypes cffi
    _cffi_backend py_compile compileall zipapp modulefinder pyximport Cython distutils setuptools pip ensurepip venv idlelib
    lib2to3 pdb bdb cProfile pstats timeit doctest unittest numexpr asteval simpleeval IPython ipykernel rlcompleter _pyrepl
    tkinter Tkinter turtle turtledemo _xxsubinterpreters _xxinterpchannels _xxinterpqueues _interpreters _interpchannels
    _interpqueues interpreters _testcapi _testinternalcapi _testlimitedcapi _testmultiphase _testbuffer _testclinic jinja2 mako
  `,
  pickles: 'pickle _pickle cPickle pickletools marshal shelve dill cloudpickle joblib jsonpickle yaml',
  files: `
    mmap fsspec s3fs gcsfs smart_open shutil tempfile fileinput linecache filecmp zipfile tarfile gzip bz2 lzma dbm anydbm
    sqlite3 _sqlite3 mailbox netrc glob h5py imageio netCDF4 xml uu pydoc
  `,
  networks: `
    socket _socket socketserver SocketServer ssl _ssl select selectors asyncio _asyncio http httplib urllib urllib2 urllib3
    requests httpx aiohttp ftplib smtplib smtpd telnetlib poplib imaplib nntplib xmlrpc xmlrpclib BaseHTTPServer
    SimpleHTTPServer wsgiref webbrowser antigravity paramiko fabric websocket websockets grpc boto3 botocore pycurl
  `,
  python: `
    sys threading _thread thread atexit gc inspect tracemalloc faulthandler curses sysconfig _sysconfigdata
  `,
});

/** Modules of Python itself, not other packages whose names begin the same. */
const MODULES = byName({
  system: 'resource fcntl termios pwd grp crypt syslog cgi signal _signal',
  code: 'code codeop profile trace site sitecustomize usercustomize sched readline cmd',
  files: 'logging.config logging.handlers',
});

/** Parts of packages that are otherwise harmless. */
const PARTS = byName({
  programs:
    'torch.utils.collect_env torch.distributed.run torch.distributed.launch torch.distributed.launcher cv2.VideoCapture',
  code: `
    torch.jit torch.package torch.fx torch.export torch.onnx torch.ops torch._ops torch.classes torch._classes
    torch.multiprocessing torch.testing torch.library torch.profiler torch.compiler torch._inductor torch._dynamo torch._export
    torch._utils_internal torch.compile torch._utils._import_dotted_name torch.utils.cpp_extension torch.utils.bottleneck
    torch.utils._config_module torch.utils.data.datapipes torch.distributed.elastic torch._C._load_for_lite_interpreter
    torch._C.parse_ir numpy.f2py numpy.distutils numpy.testing numpy.ctypeslib pandas.core.computation
    typing._eval_type typing.get_type_hints typing.evaluate_forward_ref typing.ForwardRef._evaluate
    typing.ForwardRef.evaluate typing_extensions.get_type_hints typing_extensions.evaluate_forward_ref annotationlib
    dataclasses.make_dataclass weakref.finalize torch.utils.hipify sympy.sympify sympy.core.sympify sympy.parsing sympy.parse_expr sympy.lambdify
    sympy.utilities.lambdify sympy.utilities.autowrap test.support django.core.management scipy.weave
  `,
  pickles: 'torch.load torch.serialization.load torch.storage._load_from_bytes torch.utils.show_pickle',
  files: `
    torch.utils.tensorboard torch.utils.file_baton torch._C.PyTorchFileReader torch._C.PyTorchFileWriter torchvision.io
    numpy.lib.npyio numpy.lib._npyio_impl numpy.lib.format numpy.lib._format_impl numpy.lib._datasource numpy.core.memmap
    numpy._core.memmap pandas.io scipy.io skimage.io logging.FileHandler logging.basicConfig mmengine.fileio mmcv.fileio
  `,
  networks: 'wandb.init torch.hub torch.utils.model_zoo torch.distributed.rpc torchvision.datasets',
  python: `
    operator.attrgetter operator.itemgetter operator.methodcaller _operator.attrgetter _operator.itemgetter
    _operator.methodcaller types.CodeType types.FunctionType types.LambdaType types.MethodType types.BuiltinFunctionType
    types.ModuleType
  `,
});

interface Data {
  readonly names: ReadonlySet<string>;
  /** What is wrong with everything else in the module. */
  readonly otherwise: Kind;
  /** Whether the members of these names are data too, unless their own names are dangerous. */
  readonly members: boolean;
}

function data(names: string, otherwise: Kind, members: boolean): Data {
  return { names: list(names), otherwise, members };
}

/** Modules of which only the names listed here are data, and everything else is refused. */
const DATA_ONLY: ReadonlyMap<string, Data> = new Map([
  [
    'builtins',
    data(
      `
        object type list dict tuple set frozenset bytearray bytes memoryview complex int float bool str unicode long basestring
        slice range xrange Ellipsis NotImplemented None True False property staticmethod classmethod super
        abs all any ascii bin callable chr divmod enumerate filter format hash hex id isinstance issubclass iter len map max min
        next oct ord pow print reduce repr reversed round sorted sum zip unichr cmp intern buffer coerce
      `,
      'python',
      true,
    ),
  ],
  ['pathlib', data('Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath', 'files', false)],
  ['io', data('BytesIO StringIO', 'files', false)],
  ['uuid', data('UUID SafeUUID', 'programs', true)],
  ['platform', data('uname_result', 'programs', true)],
  ['inspect', data('_empty _ParameterKind Parameter Signature BoundArguments', 'python', true)],
  ['signal', data('Signals Handlers Sigmasks', 'system', true)],
  ['os', data('stat_result statvfs_result terminal_size times_result uname_result sched_param', 'system', false)],
  ['http', data('HTTPStatus HTTPMethod', 'networks', true)],
  ['socket', data('AddressFamily SocketKind AddressInfo MsgFlag', 'networks', true)],
]);

/** Other names of the same modules. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['__builtin__', 'builtins'],
  ['__builtins__', 'builtins'],
  ['pathlib._local', 'pathlib'],
  ['_io', 'io'],
  ['_pyio', 'io'],
  ['posix', 'os'],
  ['nt', 'os'],
]);

const EXCEPTION = /^[A-Z]\w*(Error|Exception|Warning|Exit|Interrupt|Iteration|Group)$/;

/** Modules that any module may have imported, and through which they can be reached. */
const ANYWHERE = list(`
  os posix nt sys subprocess builtins __builtin__ __builtins__ importlib imp ctypes socket shutil pty runpy pickle cPickle
  marshal urllib requests webbrowser
`);

/** Names of functions that are dangerous in any module. */
const FUNCTIONS = byName({
  programs: `
    system popen popen2 popen3 popen4 Popen getoutput getstatusoutput check_output check_call startfile
    fork forkpty spawn spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe posix_spawn posix_spawnp
    execl execle execlp execlpe execv execve execvp execvpe
  `,
  code: `
    eval exec execfile run_module run_path runpy runstring run_string run_in_subinterp run_in_subinterp_with_config
    import_module load_module exec_module load_source load_compiled load_dynamic load_library
  `,
  pickles: 'read_pickle',
  files: 'open fdopen open_code rmtree unlink memmap open_memmap DataSource genfromtxt',
  networks: `
    urlopen urlretrieve download_url load_state_dict_from_url load_url from_pretrained hf_hub_download snapshot_download
  `,
  python: 'getattr setattr delattr',
});

/** Functions that read code from a file, such as `torch._C.import_ir_module_from_buffer`. */
const READS_CODE = /^_?import_ir_module(_\w+)?$/;

/** Usual names of functions that read or write files: `load_model`, `read_csv`, `savez`, `savefig`, `imread`. */
const READS_OR_WRITES =
  /^_?(im|from_?|to_?)?(load|read|save|dump|write|download|file|fetch)(s|z|txt|regex|fig)?(_\w+)?$/;

/** Names with underscores around them that are harmless: what the pickling of plain objects uses, and ordinary methods. */
const HARMLESS_UNDERSCORES = list(`
  __newobj__ __newobj_ex__ __new__ __init__ __post_init__ __call__ __repr__ __str__ __format__ __bool__ __hash__
  __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __len__ __contains__ __iter__ __next__ __reversed__ __getitem__ __enter__ __exit__
  __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __matmul__ __truediv__ __floordiv__ __mod__ __pow__ __neg__ __pos__ __abs__
  __and__ __or__ __xor__ __invert__ __int__ __float__ __index__ __round__ __name__ __qualname__ __doc__ __version__
`);

/** What is wrong with `module.name` in a pickle, as a clause such as "runs programs"; null: it may be beside weights. */
export function dangerOf(module: string, name: string): string | null {
  const kind = kindOf(withoutSpace(module), withoutSpace(name));
  return kind === null ? null : KINDS[kind];
}

/** Python would not find a name with white space in it, but its author may have meant the name without. */
function withoutSpace(name: string): string {
  return name.replace(/\s/g, '');
}

function kindOf(module: string, name: string): Kind | null {
  const names = name.split('.');
  const known = ALIASES.get(module) ?? module;
  const allowed = DATA_ONLY.get(known);
  if (allowed !== undefined) {
    const isException = known === 'builtins' && EXCEPTION.test(name);
    if (allowed.names.has(name) || isException) return null;
    const isMember = allowed.members && names.length > 1 && allowed.names.has(names[0]!);
    return kindOfFunction(names) ?? (isMember ? null : allowed.otherwise);
  }
  const modules = module.split('.');
  const all = beginnings([...modules, ...names]);
  const kind =
    firstOf(all, PARTS) ?? PACKAGES.get(modules[0]!) ?? MODULES.get(module) ?? firstOf(all.slice(1), MODULES) ?? null;
  // The name of a function says more than its package.
  return kind === null ? kindOfFunction(names, modules.slice(1)) : (FUNCTIONS.get(names.at(-1)!) ?? kind);
}

function firstOf(names: readonly string[], kinds: ReadonlyMap<string, Kind>): Kind | undefined {
  for (const name of names) if (kinds.has(name)) return kinds.get(name);
  return undefined;
}

/** What is wrong with a name in a module that is not refused itself; null: nothing. */
function kindOfFunction(names: readonly string[], packages: readonly string[] = []): Kind | null {
  const last = names.at(-1)!;
  const named = FUNCTIONS.get(last);
  if (named !== undefined) return named;
  // `import os as _os`
  const imported = names.map((part) => part.replace(/^_+(?=[a-z]+$)/, ''));
  if ([...packages, ...names, ...imported].some((part) => ANYWHERE.has(part))) return 'python';
  if (names.some((part) => /^__\w+__$/.test(part) && !HARMLESS_UNDERSCORES.has(part))) return 'python';
  if (READS_CODE.test(last)) return 'code';
  return READS_OR_WRITES.test(last) ? 'files' : null;
}

/** "a", "a.b", "a.b.c" for the parts a, b, c. */
function beginnings(parts: readonly string[]): string[] {
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
}
