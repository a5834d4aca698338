/**
 * Names in a pickle that no checkpoint needs and that an attack would: what runs programs or code, reaches files or networks,
 * imports, or reads other pickles. Nothing in a file is ever run here, whatever it names; but a file that names one of these was
 * made to harm whoever opens it with Python, and is refused as a whole.
 *
 * Unlike a list of what is allowed, this one need not be complete to be safe.
 */

const list = (names: string) => new Set(names.trim().split(/\s+/));

/** Modules and packages with everything in them, by the first part of a name. */
const PACKAGES = list(`
  os posix nt posixpath ntpath genericpath sys subprocess _posixsubprocess _winapi commands popen2 pty tty
  importlib _imp imp _frozen_importlib _frozen_importlib_external zipimport runpy pkgutil pkg_resources
  pickle _pickle cPickle pickletools marshal shelve dill cloudpickle joblib jsonpickle yaml
  ctypes _ctypes cffi _cffi_backend mmap
  socket _socket socketserver SocketServer ssl _ssl select selectors asyncio _asyncio
  http httplib urllib urllib2 urllib3 requests httpx aiohttp ftplib smtplib smtpd telnetlib poplib imaplib nntplib xmlrpc
  xmlrpclib BaseHTTPServer SimpleHTTPServer wsgiref webbrowser antigravity paramiko fabric websocket websockets grpc
  fsspec s3fs gcsfs boto3 botocore smart_open
  shutil tempfile fileinput linecache filecmp zipfile tarfile gzip bz2 lzma dbm anydbm sqlite3 _sqlite3 mailbox netrc glob
  multiprocessing concurrent threading _thread thread atexit gc inspect pydoc idlelib lib2to3 distutils setuptools pip ensurepip
  venv tkinter Tkinter turtledemo pdb bdb cProfile pstats timeit doctest unittest tracemalloc faulthandler curses xml
  _osx_support _aix_support _pyrepl rlcompleter msvcrt winreg _winreg win32api win32com winsound sysconfig _sysconfigdata
  h5py imageio netCDF4 numexpr IPython ipykernel pexpect plumbum
`);

/** Modules of Python alone, not packages of somebody else that are called the same. */
const MODULES = list(`
  code codeop profile trace site sitecustomize usercustomize signal _signal resource fcntl termios pwd grp crypt syslog cgi sched
  readline cmd test.support.script_helper logging.config logging.handlers
`);

/** Parts of packages that are harmless otherwise. */
const PARTS = list(`
  torch.hub torch.jit torch.package torch.fx torch.export torch.onnx torch.ops torch._ops torch.classes torch._classes
  torch.multiprocessing torch.testing torch.library torch.profiler torch.compiler torch._inductor torch._dynamo torch._export
  torch._utils_internal torch.compile
  torch._utils._import_dotted_name torch.utils.cpp_extension torch.utils.model_zoo
  torch.utils.collect_env torch.utils.bottleneck torch.utils.tensorboard torch.utils._config_module torch.utils.file_baton
  torch.utils.data.datapipes torch.distributed.rpc torch.distributed.run torch.distributed.launch torch.distributed.launcher
  torch.distributed.elastic torch._C._load_for_lite_interpreter torch._C.PyTorchFileReader torch._C.PyTorchFileWriter
  torchvision.io torchvision.datasets
  numpy.lib.npyio numpy.lib._npyio_impl numpy.lib.format numpy.lib._format_impl numpy.lib._datasource numpy.f2py
  numpy.distutils numpy.testing numpy.ctypeslib numpy.core.memmap numpy._core.memmap
  pandas.io pandas.core.computation scipy.io skimage.io cv2.VideoCapture
  logging.FileHandler logging.basicConfig operator.attrgetter operator.itemgetter operator.methodcaller
  _operator.attrgetter _operator.itemgetter _operator.methodcaller types.CodeType types.FunctionType types.LambdaType
  types.MethodType types.BuiltinFunctionType types.ModuleType mmengine.fileio mmcv.fileio
`);

/** Of these modules only what is listed here is data; everything else of them is refused. */
const DATA_ONLY: Readonly<Record<string, ReadonlySet<string>>> = {
  builtins: list(`
    object type list dict tuple set frozenset bytearray bytes memoryview complex int float bool str unicode long basestring
    slice range xrange Ellipsis NotImplemented None True False property staticmethod classmethod super
    abs all any ascii bin callable chr divmod enumerate filter format hash hex id isinstance issubclass len map max min oct ord
    pow print repr reversed round sorted sum zip unichr cmp intern buffer coerce
  `),
  pathlib: list('Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath'),
  io: list('BytesIO StringIO'),
  uuid: list('UUID SafeUUID'),
  platform: list('uname_result'),
};

/** Other names of the same modules. */
const ALIASES: Readonly<Record<string, string>> = {
  __builtin__: 'builtins',
  __builtins__: 'builtins',
  'pathlib._local': 'pathlib',
  _io: 'io',
  _pyio: 'io',
};

const EXCEPTION = /^[A-Z]\w*(Error|Exception|Warning|Exit|Interrupt|Iteration|Group)$/;

/** Modules that any module may have imported: reached by way of it, they are the same. */
const ANYWHERE = list(`
  os posix nt sys subprocess builtins __builtin__ __builtins__ importlib imp ctypes socket shutil pty runpy pickle cPickle
  marshal urllib requests webbrowser
`);

/** What a function of any module that does such things is called. */
const FUNCTIONS = list(`
  eval exec execfile system popen popen2 popen3 popen4 Popen getoutput getstatusoutput check_output check_call startfile
  fork forkpty spawn spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe posix_spawn posix_spawnp
  execl execle execlp execlpe execv execve execvp execvpe run_module run_path runpy runstring import_module load_module
  exec_module load_source load_compiled load_dynamic load_library urlopen urlretrieve download_url
  load_state_dict_from_url load_url getattr setattr delattr open fdopen open_code rmtree unlink read_pickle
  from_pretrained hf_hub_download snapshot_download memmap open_memmap DataSource genfromtxt
`);

/** Functions that read or write files, as libraries call them: `load_model`, `read_csv`, `savez`, `imread`. */
const READS_OR_WRITES = /^_?(im|from_?|to_?)?(load|read|save|dump|write|download|file|fetch)(s|z|txt|regex)?(_\w+)?$/;

/** Names with underscores around them that the pickling of plain objects uses. */
const HARMLESS_UNDERSCORES = list('__newobj__ __newobj_ex__');

/** Whether `module.name`, which a pickle names, has no place in a checkpoint. */
export function isDangerous(module: string, name: string): boolean {
  const known = ALIASES[module] ?? module;
  const data = Object.hasOwn(DATA_ONLY, known) ? DATA_ONLY[known]! : null;
  if (data !== null) return !data.has(name) && !(known === 'builtins' && EXCEPTION.test(name));
  const modules = module.split('.');
  const names = name.split('.');
  if (PACKAGES.has(modules[0]!) || MODULES.has(module)) return true;
  if (beginnings([...modules, ...names]).some((beginning) => PARTS.has(beginning))) return true;
  // `import os as _os`
  const imported = names.map((part) => part.replace(/^_+(?=[a-z]+$)/, ''));
  if ([...modules.slice(1), ...names, ...imported].some((part) => ANYWHERE.has(part))) return true;
  if (names.some((part) => /^__\w+__$/.test(part) && !HARMLESS_UNDERSCORES.has(part))) return true;
  const last = names.at(-1)!;
  return FUNCTIONS.has(last) || READS_OR_WRITES.test(last);
}

/** "a", "a.b", "a.b.c" of the parts a, b, c. */
function beginnings(parts: readonly string[]): string[] {
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
}
